//! Refreshes the gauges that count the fleet, on a task of its own, and forgets silent senders' rate limits at the same time.

use std::sync::Arc;
use std::time::Duration;

use pulse_runtime::{Chain, Outage, Shutdown, Ticker};
use pulse_store::{SharedStore, TenantFleet, within};

use crate::ingest::Ingest;
use crate::metrics::Metrics;

/// How often the fleet is counted.
const EVERY: Duration = Duration::from_secs(10);
/// The longest one count may take.
const COUNT_TIMEOUT: Duration = Duration::from_secs(9);

/// Refreshes until shutdown. While the store cannot be asked the gauges are absent, as old numbers would pass for true ones.
pub(crate) async fn refresh(store: SharedStore, metrics: Arc<Metrics>, ingest: Arc<Ingest>, shutdown: Shutdown) {
    let (mut ticker, mut outage) = (Ticker::every(EVERY), Outage::default());
    while shutdown.unless_triggered(ticker.tick()).await.is_some() {
        ingest.sweep();
        let Some(counted) = shutdown.unless_triggered(within(COUNT_TIMEOUT, store.fleet())).await else { return };
        match counted {
            Ok(fleets) => {
                outage.ended();
                show(&metrics, &fleets);
            }
            Err(error) => {
                show(&metrics, &[]);
                if let Some(failures) = outage.failed() {
                    tracing::warn!(error = %Chain(&error), failures, "the fleet cannot be counted: its gauges are absent until it can");
                }
            }
        }
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
