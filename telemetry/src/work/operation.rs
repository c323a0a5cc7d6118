//! Work that is timed and counted by outcome, failures and cancellations too.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::metrics::builtin::{PROCESSING, PROCESSING_DURATION, PROCESSING_LAST_SUCCESS};
use crate::metrics::handles::{BoundCounter, BoundGauge, BoundHistogram};
use crate::metrics::instruments::Instruments;

/// `pulse_processing_*` for one operation, its handles bound once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Operation(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    duration: BoundHistogram,
    success: BoundCounter,
    error: BoundCounter,
    cancelled: BoundCounter,
    last_success: BoundGauge,
}

impl Operation {
    pub(crate) fn new(instruments: &Instruments, name: &str) -> Self {
        let operation = &[("operation", name)];
        let processing = instruments.counter(&PROCESSING);
        let outcome = |outcome| processing.bind(&[("operation", name), ("outcome", outcome)]);
        Self(Arc::new(Handles {
            duration: instruments.histogram(&PROCESSING_DURATION).bind(operation),
            success: outcome("success"),
            error: outcome("error"),
            cancelled: outcome("cancelled"),
            last_success: instruments.gauge(&PROCESSING_LAST_SUCCESS).bind(operation),
        }))
    }

    /// Times `work` from its first poll: `Ok`, `Err` and being dropped half way (cancelled) are each timed and counted; a panic counts as an
    /// error.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn run<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let timer = self.start();
        let result = work.await;
        match &result {
            Ok(_) => timer.success(),
            Err(_) => timer.error(),
        }
        result
    }

    /// Starts a timer, for work that is not one future. Dropping it unfinished counts as cancelled.
    #[must_use = "a timer dropped at once counts a cancelled operation"]
    pub fn start(&self) -> Timer {
        Timer { handles: Some(Arc::clone(&self.0)), started: Instant::now() }
    }
}

/// One run of an operation. Dropped unfinished it counts as cancelled, or as an error if the thread is panicking.
#[derive(Debug)]
#[must_use = "a timer dropped at once counts a cancelled operation"]
pub struct Timer {
    /// None once finished.
    handles: Option<Arc<Handles>>,
    started: Instant,
}

impl Timer {
    /// The work was done.
    pub fn success(mut self) {
        if let Some(handles) = self.finish(|handles| &handles.success) {
            handles.last_success.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        }
    }

    /// The work failed.
    pub fn error(mut self) {
        self.finish(|handles| &handles.error);
    }

    /// Nothing was done: no time, no count (an idle poll).
    pub fn discard(mut self) {
        self.handles = None;
    }

    fn finish(&mut self, outcome: fn(&Handles) -> &BoundCounter) -> Option<Arc<Handles>> {
        let handles = self.handles.take()?;
        handles.duration.record(self.started.elapsed().as_secs_f64());
        outcome(&handles).add(1);
        Some(handles)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.finish(if std::thread::panicking() { |handles| &handles.error } else { |handles| &handles.cancelled });
    }
}
