//! Delivers: takes jobs from the store and brings their messages to webhooks and chat, with leases, retries, a log of every attempt and
//! a guard on where deliveries may go.
//!
//! ```text
//!            ┌── loop: pending_jobs ──────────────┐
//!  store ──▶ │ claim ▸ places by destination ▸    │ ──▶ deliveries ──▶ receivers
//!            │ start                              │         │
//!            └────────────────────────────────────┘         ▼
//!            ┌── loop: pending_notification_jobs ─┐     recorder ──▶ store
//!            └─ the same, with places of its own ─┘
//! ```
//!
//! # Promises
//! - **At least once.** A job is claimed under a lease, delivered with nothing held and recorded under the lease. Whatever is killed in
//!   between comes back when the lease has passed, with the same `webhook-id`, by which receivers drop doubles.
//! - **Nobody waits for somebody else's receiver.** Queues have places of their own, destinations a share of them.
//! - **Only what can get better is retried**, on the schedule of [`pulse_domain::retry`]; the rest is dead at once, with a detail that
//!   says what to do, and can be replayed.

mod attempt;
mod ca_file;
mod channel;
mod egress;
mod excerpt;
mod failure;
mod http_client;
pub mod metrics;
mod places;
mod queue_loop;
mod recorder;
mod retry_after;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use pulse_domain::integration::Queue;
use pulse_runtime::{Chain, Deps, Error, Listeners, Shutdown, Tasks};
use pulse_store::PageRequest;
use tokio::sync::mpsc;

use crate::attempt::Deliverer;
use crate::http_client::Http;
use crate::metrics::Metrics;
use crate::queue_loop::QueueLoop;
use crate::recorder::Recorder;
pub use crate::settings::Settings;

/// How long the last attempts may take to be recorded once the deliveries have drained.
const RECORD_GRACE: Duration = Duration::from_secs(1);
/// How many tenants have their counters shown from the start; the others' appear with their first job.
const TENANTS_KNOWN_MAX: u32 = 1000;

/// Runs delivery until shutdown, then drains within [`Settings::drain`] and a second: nothing new is claimed, what was claimed and not
/// begun is given back, what is under way may finish.
///
/// # Errors
/// [`Error::Settings`] for settings that cannot work, else what [`Tasks`] says: a loop or the server ended that should not have, or the drain
/// was not enough. What was under way then comes back when its lease has passed.
pub async fn run(deps: Deps, settings: Settings, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
    settings.validate()?;
    let http = Http::new(&settings, deps.clock.clone(), deps.telemetry.tracer())?;
    let metrics = Arc::new(Metrics::new(&deps.telemetry, |queue| settings.places(queue)));
    let _probes = Queue::ALL.map(|queue| {
        let count = move |store: pulse_store::SharedStore, now| async move { store.job_backlog(queue, now).await };
        deps.queue_probe(queue.gauge_name(), settings.queue_probe, count)
    });
    know_tenants(&deps, &metrics).await;
    let stop = shutdown.child();
    let mut tasks = Tasks::of(&deps.telemetry, stop.clone());
    start_work(&mut tasks, &deps, &settings, &http, &metrics, &stop);
    let (telemetry, drain) = (deps.telemetry.clone(), settings.drain);
    tasks.spawn("serving", async move { pulse_runtime::serve(listeners, &telemetry, axum::Router::new(), stop, drain).await });
    tasks.join(drain + RECORD_GRACE).await
}

/// Starts a loop for each queue, and the recorder, which ends when the loops have.
fn start_work(tasks: &mut Tasks, deps: &Deps, settings: &Settings, http: &Http, metrics: &Arc<Metrics>, stop: &Shutdown) {
    let batch = usize::try_from(settings.batch).unwrap_or(usize::MAX);
    let (finished, inbox) = mpsc::channel(batch);
    for queue in Queue::ALL {
        let (http, clock, spans, metrics) = (http.clone(), deps.clock.clone(), deps.spans.clone(), Arc::clone(metrics));
        let deliverer = Deliverer { queue, http, clock, spans, policy: settings.retry_policy(), metrics };
        tasks.spawn_loop(queue.gauge_name(), QueueLoop::new(deps, settings, deliverer, finished.clone()).run(stop.clone()));
    }
    let (store, clock, spans, metrics) = (Arc::clone(&deps.store), deps.clock.clone(), deps.spans.clone(), Arc::clone(metrics));
    let recorder = Recorder { store, clock, spans, metrics, batch };
    tasks.spawn_loop("recording", recorder.run(inbox));
}

/// Shows the counters of the tenants that there are. Best effort: each tenant's first job does the same.
async fn know_tenants(deps: &Deps, metrics: &Metrics) {
    match deps.store.tenants(&PageRequest { limit: TENANTS_KNOWN_MAX, after: None }).await {
        Ok(page) => page.items.iter().for_each(|tenant| metrics.know_tenant(&tenant.tenant_id)),
        Err(error) => tracing::warn!(error = %Chain(&error), "tenants could not be listed"),
    }
}
