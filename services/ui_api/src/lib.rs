//! Takes readings in and serves the API.
//!
//! - `ingest`: the doors for devices. A 202 means durable; writes are grouped across requests.
//! - `api`: REST under `/api/v1`, behind bearer tokens (`auth`); every error is a problem document (`problem`).
//! - [`metrics`]: what the service measures of itself.
//!
//! Readings go into the store and nowhere else: no other service is called.

mod api;
mod auth;
mod body;
mod extract;
mod fleet_gauges;
mod ingest;
mod linger;
pub mod metrics;
mod openapi;
mod page;
mod problem;
mod request_telemetry;
mod router;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use pulse_runtime::{Deps, Error, Listeners, Shutdown, Tasks};

pub use settings::Settings;

use crate::metrics::Metrics;

/// How long requests under way have to end at shutdown.
const HTTP_DRAIN: Duration = Duration::from_secs(5);
/// How long all work has to end at shutdown, writing the readings in the queue included.
const DRAIN: Duration = Duration::from_secs(9);

/// Serves until shutdown; then requests under way are ended, and what they queued is written.
///
/// # Errors
/// [`Error::Settings`] for settings that do not fit together, otherwise the first task that failed.
pub async fn run(deps: Deps, settings: Settings, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
    settings.validate()?;
    let metrics = Arc::new(Metrics::new(&deps.telemetry));
    let (ingest, background) = ingest::new(&deps, &settings, &metrics);
    let router = router::router(&deps, &settings, &metrics, &ingest);
    // A child, so that a task that fails ends this service and no other.
    let shutdown = shutdown.child();
    let mut tasks = Tasks::of(&deps.telemetry, shutdown.clone());
    let closing = background.spawn(&mut tasks);
    tasks.spawn_loop("the count of the fleet", fleet_gauges::refresh(deps.store, metrics, ingest, shutdown.clone()));
    tasks.spawn("HTTP", async move {
        let served = pulse_runtime::serve(listeners, &deps.telemetry, router, shutdown, HTTP_DRAIN).await;
        closing.close();
        served
    });
    tasks.join(DRAIN).await
}
