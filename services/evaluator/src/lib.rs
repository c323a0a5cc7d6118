//! The evaluator: finds what is wrong. It claims the devices that are due, those with readings that nobody has judged and those whose
//! heartbeat timer has rung, judges each by its tenant's rules, and commits their new states with the changes to their alerts.
//!
//! The judgement is a pure function ([`pulse_domain::evaluation::judge`]); the promises are the store's: a device is claimed under a lease,
//! and its state, alerts and events are one transaction. Any number of evaluators may run beside each other. The store's due index is the
//! timer wheel: no cycle looks at a device that has nothing to be judged.

mod change_spans;
mod cycle;
pub mod metrics;
mod rules;
mod settings;

use std::sync::Arc;

use pulse_runtime::{Chain, DRAIN, Deps, Error, Listeners, Shutdown, Tasks, run_cycle, serve_admin};
use pulse_store::{PageRequest, Topic};

pub use settings::Settings;

use crate::cycle::Evaluator;
use crate::metrics::{Metrics, OPERATION, QUEUE_NAME};

/// Tenants listed at once when their counters are bound.
const TENANTS_PAGE: u32 = 500;

/// Evaluates until shutdown, and serves the admin routes on `listeners`.
///
/// # Errors
/// [`Error::Settings`] before anything is started; afterwards the error of the first task that failed or ended on its own.
pub async fn run(deps: Deps, settings: Settings, listeners: Listeners, shutdown: Shutdown) -> Result<(), Error> {
    settings.validate()?;
    let shutdown = shutdown.child();
    let _probe = deps.queue_probe(QUEUE_NAME, settings.probe_every, |store, now| async move { store.evaluation_backlog(now).await });
    let metrics = Metrics::new(&deps.telemetry);
    know_tenants(&deps, &metrics).await;
    let mut tasks = Tasks::of(&deps.telemetry, shutdown.clone());
    serve_admin(&mut tasks, &deps.telemetry, listeners, shutdown.clone());
    let wake = deps.store.wake(Topic::Readings);
    let (plan, operation) = (settings.plan(), deps.telemetry.operation(OPERATION));
    let evaluator = Arc::new(Evaluator::new(&deps, settings, metrics));
    tasks.spawn_loop(OPERATION, async move {
        let step = || {
            let evaluator = Arc::clone(&evaluator);
            async move { evaluator.step().await }
        };
        run_cycle(plan, &deps, operation, Some(wake), shutdown, step).await;
    });
    tasks.join(DRAIN).await
}

/// Makes the counters of tenants that exist show 0 from the first scrape on. Those that come later show from their first judgement on.
async fn know_tenants(deps: &Deps, metrics: &Metrics) {
    let mut page = PageRequest { limit: TENANTS_PAGE, after: None };
    loop {
        match deps.store.tenants(&page).await {
            Ok(tenants) => {
                for tenant in &tenants.items {
                    metrics.know_tenant(&tenant.tenant_id);
                }
                match tenants.next {
                    Some(next) => page.after = Some(next),
                    None => return,
                }
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "tenants could not be listed: their counters appear with their first judgement");
                return;
            }
        }
    }
}
