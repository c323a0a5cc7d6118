//! The dispatcher: decides who hears of it. It takes every alert event off the queue, however old and however many, asks the tenant's
//! routes who wants it, and leaves a job for each.
//!
//! The decision is a pure function (`pulse_domain::route::select`, and `commit` here); the promises are the store's: an event is claimed
//! under a lease, its jobs and its leaving the queue are one transaction, and a job is unique per tenant, event and route. Any number of
//! dispatchers may run beside each other.

mod commit;
mod cycle;
pub mod metrics;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use pulse_runtime::{CyclePlan, DRAIN, Deps, Error, Listeners, Shutdown, Tasks, run_cycle, serve_admin};
use pulse_store::Topic;

pub use settings::Settings;

use crate::cycle::Dispatcher;
use crate::metrics::{Metrics, OPERATION, QUEUE_NAME};

/// Dispatches until shutdown, and serves the admin routes on `listeners`.
///
/// # Errors
/// [`Error::Settings`] before anything is started; afterwards the error of the first task that failed or ended on its own.
pub async fn run(deps: Deps, settings: Settings, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
    settings.validate()?;
    let shutdown = shutdown.child();
    let _probe = deps.queue_probe(QUEUE_NAME, settings.probe_every, |store, now| async move { store.dispatch_backlog(now).await });
    let mut tasks = Tasks::of(&deps.telemetry, shutdown.clone());
    serve_admin(&mut tasks, &deps.telemetry, listeners, shutdown.clone());
    tasks.spawn_loop(OPERATION, dispatch(deps, settings, shutdown));
    tasks.join(DRAIN).await
}

async fn dispatch(deps: Deps, settings: Settings, shutdown: Shutdown) {
    let plan = CyclePlan {
        name: OPERATION,
        poll: settings.poll,
        pause: Duration::ZERO,
        deadline: settings.step_deadline(),
        backoff_max: settings.backoff_max,
    };
    let operation = deps.telemetry.operation(OPERATION);
    let wake = deps.store.wake(Topic::Events);
    let metrics = Metrics::new(&deps.telemetry);
    let dispatcher = Arc::new(Dispatcher { deps: deps.clone(), settings, metrics });
    run_cycle(plan, &deps, operation, Some(wake), shutdown, move || {
        let dispatcher = Arc::clone(&dispatcher);
        async move { dispatcher.step().await }
    })
    .await;
}
