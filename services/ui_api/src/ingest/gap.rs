//! The gap in what ingest has written, between a reading that was refused and the next report of progress.

use std::sync::atomic::{AtomicBool, Ordering};

/// Remembers that readings were refused for a reason of ours: their devices were heard, but are not in the store.
#[derive(Debug, Default)]
pub(crate) struct Gap(AtomicBool);

impl Gap {
    pub(crate) fn readings_were_refused(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether there was one since this was last asked.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}
