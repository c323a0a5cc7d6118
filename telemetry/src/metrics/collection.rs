//! One collection at a time, and each sees only what is observed in it.
//!
//! The SDK runs every observable's callback for every reader and writes what it observes to *all* readers, so a label set that is gone would
//! linger in the other reader until its next turn. Therefore callbacks observe only within a [`Turn`], turns exclude each other, and a turn
//! starts by collecting once with silent callbacks, which throws away what the other reader's turn left behind.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, Pipeline, Temporality};

use super::open::budget::Budget;

thread_local! {
    static OBSERVING: Cell<bool> = const { Cell::new(false) };
}

/// True on a thread that collects within a turn: callbacks observe, and nothing may ask for an instrument or collect, either of which would
/// deadlock.
pub(crate) fn observing() -> bool {
    OBSERVING.get()
}

/// Gives out turns; shared by the readers of one provider.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    gate: Arc<Mutex<()>>,
    budget: Arc<Budget>,
}

impl Turn {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { gate: Arc::default(), budget }
    }

    /// Empties `reader` of leftovers and takes the places of idle tenants back, so that their series end in all metrics at once; then runs
    /// `collect` with callbacks observing.
    ///
    /// # Errors
    /// What `reader` says when it cannot collect, for example after its shutdown; and when a callback, being read itself, wants to collect.
    pub(crate) fn take<T>(&self, reader: &impl MetricReader, collect: impl FnOnce() -> T) -> Result<T, OTelSdkError> {
        if observing() {
            return Err(OTelSdkError::InternalFailure("a callback cannot collect".to_owned()));
        }
        let _mine = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        reader.collect(&mut ResourceMetrics::default())?;
        self.budget.sweep();
        let _on = Observing::start();
        Ok(collect())
    }
}

struct Observing;

impl Observing {
    fn start() -> Self {
        OBSERVING.set(true);
        Self
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        OBSERVING.set(false);
    }
}

/// A reader that the provider owns and the kit keeps a hand on.
#[derive(Debug)]
pub(crate) struct Shared<R>(pub(crate) Arc<R>);

impl<R: MetricReader> MetricReader for Shared<R> {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
