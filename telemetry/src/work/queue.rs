//! A queue's true depth and age, sampled on a task of its own so that they keep moving when the worker hangs.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use crate::metrics::builtin::{QUEUE_DEPTH, QUEUE_OLDEST_AGE, QUEUE_PROBE_FAILURES};
use crate::metrics::complaint::Complaints;
use crate::metrics::handles::BoundCounter;
use crate::metrics::instruments::Instruments;
use crate::metrics::observed::{SourceHandle, number};

/// A probe has as long as its interval, within these.
const PROBE_TIME_MIN: Duration = Duration::from_secs(1);
const PROBE_TIME_MAX: Duration = Duration::from_secs(10);
/// A shorter interval is raised to this.
const EVERY_MIN: Duration = Duration::from_millis(1);

/// What a probe found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueueSample {
    /// Items that wait: all of them, not a batch.
    pub depth: u64,
    /// How long the oldest has waited; 0 when empty.
    pub oldest_age: Duration,
}

/// Samples a queue until it is dropped, which also removes the queue's gauges. Its failure counter stays, as counters do.
#[derive(Debug)]
#[must_use = "dropping the probe stops it"]
pub struct QueueProbe {
    /// None outside a runtime.
    _probing: Option<Probing>,
}

#[derive(Debug)]
struct Probing {
    task: AbortHandle,
    _gauges: [Option<SourceHandle>; 2],
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl QueueProbe {
    pub(crate) fn start<F, Fut, E>(
        instruments: &Instruments,
        complaints: &Complaints,
        name: &'static str,
        every: Duration,
        probe: F,
    ) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<QueueSample, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let labels = &[("queue_name", name)];
        let last = Arc::new(Mutex::new(Some(QueueSample::default())));
        let gauge = |definition, of: fn(QueueSample) -> f64| {
            let last = Arc::clone(&last);
            let read = move || last.lock().unwrap_or_else(PoisonError::into_inner).map(of);
            instruments.observed(definition)?.add_series_while(labels, read)
        };
        let depth = gauge(&QUEUE_DEPTH, |sample| number(sample.depth));
        let oldest_age = gauge(&QUEUE_OLDEST_AGE, |sample| sample.oldest_age.as_secs_f64());
        let failures = instruments.counter(&QUEUE_PROBE_FAILURES).bind(labels);
        let sampler = Sampler { name, last, failures, failing: false };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            complaints.say(&format!("the queue {name} cannot be probed outside a tokio runtime; it is absent"));
            return Self { _probing: None };
        };
        let task = runtime.spawn(sampler.run(every.max(EVERY_MIN), probe)).abort_handle();
        Self { _probing: Some(Probing { task, _gauges: [depth, oldest_age] }) }
    }
}

struct Sampler {
    name: &'static str,
    /// None after a failed probe: the gauges are absent.
    last: Arc<Mutex<Option<QueueSample>>>,
    failures: BoundCounter,
    failing: bool,
}

impl Sampler {
    async fn run<F, Fut, E>(mut self, every: Duration, probe: F)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<QueueSample, E>>,
        E: Display,
    {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let within = every.clamp(PROBE_TIME_MIN, PROBE_TIME_MAX);
        loop {
            ticks.tick().await;
            // The closure too is called inside, so that its panic is caught with its future's.
            let sample = AssertUnwindSafe(async { probe().await }).catch_unwind();
            match tokio::time::timeout(within, sample).await {
                Ok(Ok(Ok(sample))) => self.succeeded(sample),
                Ok(Ok(Err(error))) => self.failed(&error.to_string()),
                Ok(Err(_)) => self.failed("it panicked"),
                Err(_) => self.failed(&format!("no answer within {within:?}")),
            }
        }
    }

    fn succeeded(&mut self, sample: QueueSample) {
        self.set(Some(sample));
        if std::mem::take(&mut self.failing) {
            tracing::info!(queue = self.name, "the queue's probe succeeds again");
        }
    }

    fn failed(&mut self, reason: &str) {
        self.set(None);
        self.failures.add(1);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(queue = self.name, reason, "the queue's probe fails; its depth and age are absent until it succeeds");
        }
    }

    fn set(&self, sample: Option<QueueSample>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = sample;
    }
}
