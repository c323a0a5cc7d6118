//! What the pipelines say of themselves: pushes by outcome, when one last succeeded, what was lost, and a warning at most once a minute.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_sdk::error::OTelSdkResult;

use crate::env::Signal;
use crate::metrics::builtin::{EXPORTS, ITEMS_DROPPED, LAST_EXPORT};
use crate::metrics::handles::{BoundCounter, BoundGauge};
use crate::metrics::instruments::Instruments;

/// A collector that is away is said once in this time; the metrics count every push.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// Warns once in a while, for all signals of a service together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warning(Arc<Mutex<Option<Instant>>>);

impl Warning {
    fn say(&self, service: &'static str, signal: Signal, error: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_some_and(|at| at.elapsed() < WARN_EVERY) {
            return;
        }
        *said = Some(Instant::now());
        drop(said);
        tracing::warn!(
            target: crate::logs::record::PIPELINE_TARGET,
            service,
            signal = signal.as_str(),
            error,
            "telemetry cannot be pushed; it is tried again, and pulse_telemetry_exports_total counts"
        );
    }
}

/// Watches the pushes of one signal.
#[derive(Debug, Clone)]
pub(crate) struct ExportWatch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: &'static str,
    signal: Signal,
    success: BoundCounter,
    error: BoundCounter,
    last_success: BoundGauge,
    /// None for metrics: the next push makes good for one that failed.
    dropped: Option<Dropped>,
    warning: Warning,
}

#[derive(Debug)]
struct Dropped {
    queue_full: BoundCounter,
    export: BoundCounter,
}

impl ExportWatch {
    pub(crate) fn new(service: &'static str, signal: Signal, instruments: &Instruments, warning: Warning) -> Self {
        let signal_label = ("signal", signal.as_str());
        let exports = instruments.counter(&EXPORTS);
        let dropped = (signal != Signal::Metrics).then(|| {
            let dropped = instruments.counter(&ITEMS_DROPPED);
            Dropped {
                queue_full: dropped.bind(&[signal_label, ("reason", "queue_full")]),
                export: dropped.bind(&[signal_label, ("reason", "export")]),
            }
        });
        Self(Arc::new(Inner {
            service,
            signal,
            success: exports.bind(&[signal_label, ("outcome", "success")]),
            error: exports.bind(&[signal_label, ("outcome", "error")]),
            last_success: instruments.gauge(&LAST_EXPORT).bind(&[signal_label]),
            dropped,
            warning,
        }))
    }

    /// A push of so many items has ended.
    pub(super) fn pushed(&self, items: usize, result: &OTelSdkResult) {
        match result {
            Ok(()) => {
                self.0.success.add(1);
                self.0.last_success.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
            }
            Err(error) => {
                self.0.error.add(1);
                if let Some(dropped) = &self.0.dropped {
                    dropped.export.add(items as u64);
                }
                self.0.warning.say(self.0.service, self.0.signal, &error.to_string());
            }
        }
    }

    fn queue_full(&self) {
        if let Some(dropped) = &self.0.dropped {
            dropped.queue_full.add(1);
        }
    }
}

/// The gate before an SDK queue, which drops what does not fit without telling anyone: what waits is counted here too, and so is what is refused.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<GateInner>);

#[derive(Debug)]
struct GateInner {
    waiting: AtomicUsize,
    waiting_max: usize,
    watch: ExportWatch,
}

impl Gate {
    pub(super) fn new(waiting_max: usize, watch: ExportWatch) -> Self {
        Self(Arc::new(GateInner { waiting: AtomicUsize::new(0), waiting_max, watch }))
    }

    /// Whether one more may wait.
    pub(super) fn enter(&self) -> bool {
        let enter = |waiting| (waiting < self.0.waiting_max).then_some(waiting + 1);
        let entered = self.0.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter).is_ok();
        if !entered {
            self.0.watch.queue_full();
        }
        entered
    }

    /// Pushes items that waited until now.
    pub(super) async fn push(&self, items: usize, push: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        self.0.waiting.fetch_sub(items, Ordering::Relaxed);
        let pushed = push.await;
        self.0.watch.pushed(items, &pushed);
        pushed
    }
}
