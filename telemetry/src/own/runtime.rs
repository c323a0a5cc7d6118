//! The tokio runtime that telemetry was started in, read at each collection: what tokio 1.54 gives without `--cfg tokio_unstable`. Steals and
//! forced yields of the cooperative budget are not among that. Started outside a runtime, telemetry has no such series.

use tokio::runtime::{Handle, RuntimeMetrics};

use crate::metrics::builtin::{RUNTIME_BUSY, RUNTIME_PARKS, RUNTIME_QUEUE, RUNTIME_TASKS, RUNTIME_WORKERS};
use crate::metrics::definition::Definition;
use crate::metrics::instruments::Instruments;
use crate::metrics::observed::number;

pub(crate) fn show(instruments: &Instruments) {
    let Ok(runtime) = Handle::try_current() else { return };
    let metrics = runtime.metrics();
    let gauge = |definition: &'static Definition, read: fn(&RuntimeMetrics) -> usize| {
        if let Some(gauge) = instruments.observed(definition) {
            let metrics = metrics.clone();
            gauge.add_series(&[], move || Some(number(read(&metrics) as u64)));
        }
    };
    gauge(&RUNTIME_WORKERS, RuntimeMetrics::num_workers);
    gauge(&RUNTIME_TASKS, RuntimeMetrics::num_alive_tasks);
    gauge(&RUNTIME_QUEUE, RuntimeMetrics::global_queue_depth);
    #[cfg(target_has_atomic = "64")]
    show_work(instruments, &metrics);
}

/// Sums over the workers, which tokio counts where there are 64-bit atomics.
#[cfg(target_has_atomic = "64")]
fn show_work(instruments: &Instruments, metrics: &RuntimeMetrics) {
    let counter = |definition: &'static Definition, read: fn(&RuntimeMetrics, usize) -> f64| {
        if let Some(counter) = instruments.observed_counter(definition) {
            let metrics = metrics.clone();
            counter.add_series(&[], move || Some((0..metrics.num_workers()).map(|worker| read(&metrics, worker)).sum()));
        }
    };
    counter(&RUNTIME_BUSY, |metrics, worker| metrics.worker_total_busy_duration(worker).as_secs_f64());
    counter(&RUNTIME_PARKS, |metrics, worker| number(metrics.worker_park_count(worker)));
}
