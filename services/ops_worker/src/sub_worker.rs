//! What a sub-worker is, and its loop.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pulse_runtime::{CyclePlan, Deps, Progress, Shutdown, run_cycle};
use pulse_store::Result;
use pulse_telemetry::Span;
use pulse_telemetry::opentelemetry::KeyValue;

/// The longest a step on the store may take; bounded steps take milliseconds.
pub(crate) const STORE_DEADLINE: Duration = Duration::from_secs(30);

/// Name and pace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The sub-worker's name in logs and in /ready, and the label `operation`.
    pub(crate) name: &'static str,
    /// The wait after a step that left nothing to do.
    pub(crate) every: Duration,
    /// A step that takes longer is cancelled and counts as an error.
    pub(crate) deadline: Duration,
}

/// One chore.
#[async_trait]
pub(crate) trait SubWorker: Send + Sync + 'static {
    fn plan(&self) -> Plan;

    /// One bounded step. Idempotent: after an error it is run again.
    async fn step(&self) -> Result<Progress>;
}

/// The attribute of a chore's span that counts the rows it changed or removed.
const ROWS: &str = "pulse.ops.rows";

/// Says on a chore's span how much it did.
pub(crate) fn with_rows(span: Span, rows: u64) -> Span {
    if span.is_recording() {
        span.set(KeyValue::new(ROWS, i64::try_from(rows).unwrap_or(i64::MAX)));
    }
    span
}

/// Steps until shutdown.
pub(crate) async fn run(worker: Arc<dyn SubWorker>, deps: Deps, backoff_max: Duration, shutdown: Shutdown) {
    let Plan { name, every, deadline } = worker.plan();
    let operation = deps.telemetry.operation(name);
    let plan = CyclePlan { name, poll: every, pause: Duration::ZERO, deadline, backoff_max };
    run_cycle(plan, &deps, operation, None, shutdown, move || {
        let worker = Arc::clone(&worker);
        async move { worker.step().await }
    })
    .await;
}
