//! The ops worker: the chores that keep Pulse itself well, over all tenants. Each is a sub-worker with a loop, a pace and an operation of
//! its own, so that one that hangs or fails is seen by its name and holds up no other.
//!
//! | sub-worker | what it does |
//! |---|---|
//! | `health_monitor` | asks each service's /health; opens and closes SYSTEM_HEALTH alerts |
//! | `escalation` | raises alerts that nobody acknowledges, by their tenant's policies |
//! | `jobs_expiry` | brings back jobs whose worker died; removes what was finished long ago |
//! | `retention` | removes old readings |
//!
//! Every sub-worker may run in any number of replicas: what it changes is guarded by the store.

mod escalation;
mod health_monitor;
mod jobs_expiry;
pub mod metrics;
mod retention;
mod settings;
mod sub_worker;
mod target;

use std::sync::Arc;

use pulse_runtime::{DRAIN, Deps, Error, Listeners, Shutdown, Tasks, serve_admin};

pub use health_monitor::SYSTEM_TENANT;
pub use settings::Settings;
pub use target::{InvalidTarget, WatchTarget};

use crate::escalation::Escalation;
use crate::health_monitor::HealthMonitor;
use crate::jobs_expiry::JobsExpiry;
use crate::metrics::Metrics;
use crate::retention::Retention;
use crate::sub_worker::SubWorker;

/// Runs every sub-worker until shutdown, and serves the admin routes on `listeners`.
///
/// # Errors
/// [`Error::Settings`] before anything is started; afterwards the error of the first task that failed or ended on its own.
pub async fn run(deps: Deps, settings: Settings, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
    settings.validate()?;
    let shutdown = shutdown.child();
    let workers = sub_workers(&deps, &settings)?;
    let mut tasks = Tasks::of(&deps.telemetry, shutdown.clone());
    serve_admin(&mut tasks, &deps.telemetry, listeners, shutdown.clone());
    for worker in workers {
        let name = worker.plan().name;
        tasks.spawn_loop(name, sub_worker::run(worker, deps.clone(), settings.backoff_max, shutdown.clone()));
    }
    tasks.join(DRAIN).await
}

/// Every sub-worker. A new one is a module and a line here.
fn sub_workers(deps: &Deps, settings: &Settings) -> Result<Vec<Arc<dyn SubWorker>>, Error> {
    let metrics = Metrics::new(&deps.telemetry);
    Ok(vec![
        Arc::new(HealthMonitor::new(deps, settings)?),
        Arc::new(Escalation::new(deps, settings, &metrics)),
        Arc::new(JobsExpiry::new(deps, settings, &metrics)),
        Arc::new(Retention::new(deps, settings, &metrics)),
    ])
}
