//! Refreshes the gauges that count the fleet, on a task of its own, and forgets silent senders' rate limits at the same time.

use std::sync::Arc;
use std::time::Duration;

use pulse_runtime::{Chain, Shutdown};
use pulse_store::{SharedStore, TenantFleet};
use tokio::time::MissedTickBehavior;

use crate::ingest::Ingest;
use crate::metrics::Metrics;

/// How often.
const EVERY: Duration = Duration::from_secs(10);
/// The longest one count may take.
const COUNT_TIMEOUT: Duration = Duration::from_secs(9);

/// Refreshes until shutdown. While the store cannot be asked the gauges are absent, as old numbers would pass for true ones.
pub(crate) async fn refresh(store: SharedStore, metrics: Arc<Metrics>, ingest: Arc<Ingest>, shutdown: Shutdown) {
    let mut failing = false;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.triggered() => return,
        }
        ingest.sweep();
        let counted = tokio::select! {
            counted = tokio::time::timeout(COUNT_TIMEOUT, store.fleet()) => counted,
            () = shutdown.triggered() => return,
        };
        let failure = match counted {
            Ok(Ok(fleets)) => {
                show(&metrics, &fleets);
                None
            }
            Ok(Err(error)) => Some(Chain(&error).to_string()),
            Err(elapsed) => Some(elapsed.to_string()),
        };
        if let Some(error) = &failure {
            show(&metrics, &[]);
            if !failing {
                tracing::warn!(error, "the fleet cannot be counted: its gauges are absent until it can");
            }
        }
        failing = failure.is_some();
    }
}

fn show(metrics: &Metrics, fleets: &[TenantFleet]) {
    let mut alerts = Vec::with_capacity(fleets.len());
    let mut devices = Vec::with_capacity(fleets.len() * 3);
    for fleet in fleets {
        // A tenant's own counter shows from when the tenant does.
        metrics.ingest.know_tenant(&fleet.tenant_id);
        alerts.push((vec![fleet.tenant_id.to_string()], fleet.active_alerts as f64));
        for (status, count) in &fleet.devices_by_status {
            devices.push((vec![fleet.tenant_id.to_string(), status.as_str().to_owned()], *count as f64));
        }
    }
    metrics.active_alerts.replace(alerts);
    metrics.devices_by_status.replace(devices);
}
