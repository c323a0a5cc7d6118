//! Says what a caller got wrong, once, since the kit itself never fails or panics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept for tests; the log has them all.
const KEPT_MAX: usize = 100;

/// Where errors of use go: the log, and a short list that tests can read.
#[derive(Debug, Clone)]
pub(crate) struct Complaints {
    service: &'static str,
    kept: Arc<Mutex<Vec<String>>>,
}

impl Complaints {
    pub(crate) fn new(service: &'static str) -> Self {
        Self { service, kept: Arc::default() }
    }

    pub(crate) fn say(&self, text: &str) {
        tracing::error!(service = self.service, "{text}");
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(text.to_owned());
        }
    }

    /// A place that complains at most once.
    pub(crate) fn once(&self) -> Once {
        Once { complaints: self.clone(), said: AtomicBool::new(false) }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn kept(&self) -> Vec<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Complains the first time only.
#[derive(Debug)]
pub(crate) struct Once {
    complaints: Complaints,
    said: AtomicBool,
}

impl Once {
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if !self.said.swap(true, Ordering::Relaxed) {
            self.complaints.say(&text());
        }
    }
}
