//! The store's claim and commit, with a judgement that costs nothing.

use std::time::Duration;

use pulse_domain::device::DeviceStatus;
use pulse_domain::evaluation::{DeviceMemory, DeviceOutcome, DueDevice};
use pulse_store::postgres::PostgresStore;
use pulse_store::{Claim, EvaluationStore as _};

/// Longer than a turn.
const LEASE: Duration = Duration::from_mins(5);
/// Unread readings that come with a device.
const READINGS_MAX: u32 = 32;

/// Evaluates until nothing is left to claim; how many devices.
pub(super) async fn work(store: PostgresStore, claim: u32) -> anyhow::Result<usize> {
    let mut done = 0;
    loop {
        let now = chrono::Utc::now();
        let batch = store.claim_due_devices(Claim { now, limit: claim, lease: LEASE }, READINGS_MAX).await?;
        if batch.devices.is_empty() {
            return Ok(done);
        }
        done += batch.devices.len();
        let outcomes: Vec<DeviceOutcome> = batch.devices.into_iter().map(outcome).collect();
        let summary = store.commit_evaluation(batch.lease, &outcomes, chrono::Utc::now()).await?;
        anyhow::ensure!(summary.lost.is_empty(), "{} devices were lost to nobody", summary.lost.len());
    }
}

/// What an evaluator remembers of a quiet device.
fn outcome(device: DueDevice) -> DeviceOutcome {
    let last = device.readings.last();
    let latest = last.map(|reading| reading.metrics.iter().map(|(name, value)| (name.to_owned(), value.as_f64())).collect());
    DeviceOutcome {
        evaluated_through: last.map(|reading| reading.reading_id),
        key: device.key,
        status: DeviceStatus::Online,
        memory: DeviceMemory { latest: latest.unwrap_or_default(), ..DeviceMemory::default() },
        next_check_at: Some(chrono::Utc::now() + chrono::TimeDelta::hours(1)),
        changes: Vec::new(),
    }
}
