//! The driver: lets a fleet report to the doors at its own pace, through restarts and refusals of the server.
//!
//! Devices are dealt out to reporters, each a task that sends for its devices in order, one request at a time: so a device's messages never
//! overtake each other, a slow server slows only its reporters, and there is no queue between the fleet and the network. A reporter that
//! cannot keep the pace falls behind and says so ([`DriveStats::lag_ms`]); past a bound its devices forget what they had to say, as real ones do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use pulse_runtime::Shutdown;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::fleet::{FleetPlan, site_number};
use crate::sent_readings::SentReadings;
use crate::wire::FleetAccess;

pub mod door;
mod reporter;
mod run;
pub mod tally;

use door::Door;
use reporter::{Reporter, Shape};
use run::Run;
use tally::{DriveStats, DriveTally};

/// How the fleet reports.
#[derive(Debug, Clone)]
pub struct DrivePlan {
    /// The server's base URL.
    pub url: String,
    pub fleet: FleetPlan,
    /// The share of sites whose devices report through a gateway, in batches, from 0 to 1.
    pub batch_share: f64,
    /// The most messages in one batch; the server takes 100 by default.
    pub batch_max: usize,
    /// The most requests in flight, each over a connection of its own.
    pub connections: usize,
    /// How long to go on; none: until shutdown.
    pub duration: Option<Duration>,
}

/// How long a gateway gathers before it sends.
const GATEWAY_WINDOW: Duration = Duration::from_millis(500);

/// How long after the duration requests and retries under way may still take.
const END_GRACE: Duration = Duration::from_secs(2);

/// Lets the fleet report until the duration has passed or shutdown is triggered. `tally` tells how it goes meanwhile.
pub async fn drive(
    plan: &DrivePlan,
    access: Arc<FleetAccess>,
    sent_readings: Arc<SentReadings>,
    tally: Arc<DriveTally>,
    shutdown: Shutdown,
) -> Result<DriveStats> {
    check(plan, &access)?;
    let run = Arc::new(Run {
        door: Door::new(&plan.url, plan.connections)?,
        in_flight: Semaphore::new(plan.connections),
        start: Instant::now(),
        start_wall: chrono::Utc::now(),
        end: plan.duration,
        access,
        sent_readings,
        tally: Arc::clone(&tally),
        stop: shutdown.child(),
    });
    let reporters = deal(plan);
    tally.started(run.start, reporters.len());
    let reporters = reporters.into_iter().map(|reporter| tokio::spawn(reporter.run(Arc::clone(&run)))).collect::<Vec<_>>();
    let mut joined = std::pin::pin!(join_all(reporters));
    let ended = tokio::select! {
        ended = &mut joined => ended,
        () = after(plan.duration.map(|duration| duration + END_GRACE)) => {
            run.stop.trigger();
            joined.await
        }
    };
    for error in ended.into_iter().filter_map(std::result::Result::err) {
        tracing::error!(%error, "a reporter of the simulated fleet ended early");
    }
    Ok(tally.stats())
}

async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn check(plan: &DrivePlan, access: &FleetAccess) -> Result<()> {
    let refuse = |reason: String| Err(Error::Plan(reason));
    if plan.connections == 0 || plan.batch_max == 0 {
        return refuse("connections and the largest batch must be at least 1".into());
    }
    if !(0.0..=1.0).contains(&plan.batch_share) {
        return refuse(format!("the share of batches must be 0 to 1, not {}", plan.batch_share));
    }
    if access.devices.len() < plan.fleet.devices as usize {
        return refuse(format!("{} devices are registered, the fleet has {}", access.devices.len(), plan.fleet.devices));
    }
    Ok(())
}

/// One reporter for each gateway, and for the other devices as many as there are connections.
fn deal(plan: &DrivePlan) -> Vec<Reporter> {
    let mut gateways: Vec<Vec<u32>> = Vec::new();
    let mut singles: Vec<Vec<u32>> = vec![Vec::new(); plan.connections];
    let mut site_of_last_gateway = None;
    let mut next_single = 0;
    for device in 0..plan.fleet.devices {
        let site = site_number(device);
        if has_gateway(site, plan.batch_share) {
            if site_of_last_gateway != Some(site) {
                gateways.push(Vec::new());
                site_of_last_gateway = Some(site);
            }
            if let Some(gateway) = gateways.last_mut() {
                gateway.push(device);
            }
        } else {
            singles[next_single % plan.connections].push(device);
            next_single += 1;
        }
    }
    let shape = Shape::Gateway { window: GATEWAY_WINDOW, batch_max: plan.batch_max };
    let gateways = gateways.into_iter().map(|devices| (shape, devices));
    let singles = singles.into_iter().filter(|devices| !devices.is_empty()).map(|devices| (Shape::Single, devices));
    gateways.chain(singles).enumerate().map(|(number, (shape, devices))| Reporter::new(number, shape, &plan.fleet, &devices)).collect()
}

/// Spreads the gateways evenly over the sites; the last site of each whole share has one.
fn has_gateway(site: u32, share: f64) -> bool {
    (f64::from(site) * share).floor() < (f64::from(site + 1) * share).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_the_share_of_sites_that_was_asked_for() {
        for (share, expected) in [(0.0, 0), (0.25, 25), (0.3, 30), (1.0, 100)] {
            let found = (0..100).filter(|site| has_gateway(*site, share)).count();
            assert!(found.abs_diff(expected) <= 1, "{share}: {found}");
        }
    }

    #[test]
    fn every_device_has_exactly_one_reporter() {
        let fleet = FleetPlan::at_rate(1, 500, 500.0);
        let plan = DrivePlan { url: String::new(), fleet, batch_share: 0.3, batch_max: 100, connections: 8, duration: None };
        let reporters = deal(&plan);
        let mut devices: Vec<u32> = reporters.iter().flat_map(Reporter::devices).collect();
        devices.sort_unstable();
        assert_eq!(devices, (0..500).collect::<Vec<_>>());
        assert_eq!(reporters.iter().filter(|reporter| reporter.shape() == Shape::Single).count(), 8);
        assert_eq!(reporters.len(), 8 + 6, "500 devices stand at 21 sites");
    }
}
