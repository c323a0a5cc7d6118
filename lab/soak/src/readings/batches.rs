//! Batches made beforehand, as the store takes them and as the bare statements do.

use pulse_domain::Timestamp;
use pulse_domain::ids::DeviceKey;
use pulse_domain::reading::NewReading;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64;

use crate::population;

/// A batch of readings of different devices.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// In no order, as they come.
    pub(super) readings: Vec<NewReading>,
    /// The same in the order of the keys, which costs the bare ways nothing.
    pub(super) columns: Columns,
}

/// A batch as arrays.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    pub(super) tenant_ids: Vec<String>,
    pub(super) device_ids: Vec<String>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) ts: Vec<Timestamp>,
    pub(super) received_at: Vec<Timestamp>,
    pub(super) site_ids: Vec<&'static str>,
    pub(super) seqs: Vec<Option<i64>>,
    pub(super) metrics: Vec<String>,
}

impl Batch {
    /// It arrives now.
    pub(super) fn receive(&mut self, now: Timestamp) {
        self.readings.iter_mut().for_each(|reading| (reading.ts, reading.received_at) = (now, now));
        self.columns.ts.fill(now);
        self.columns.received_at.fill(now);
    }
}

/// Every device once, shuffled: neighbours in a batch are no neighbours in the index.
pub(super) fn of(devices: &[DeviceKey], size: usize) -> anyhow::Result<Vec<Batch>> {
    anyhow::ensure!((1..=devices.len()).contains(&size), "a batch must have from 1 to {} readings, one a device", devices.len());
    let mut shuffled = devices.to_vec();
    shuffled.shuffle(&mut Pcg64::seed_from_u64(7));
    shuffled.chunks_exact(size).map(batch).collect()
}

fn batch(devices: &[DeviceKey]) -> anyhow::Result<Batch> {
    let (metrics, now) = (population::quiet_metrics()?, chrono::Utc::now());
    let readings = devices.iter().map(|key| population::reading(key, &metrics, now)).collect::<anyhow::Result<Vec<_>>>()?;
    let metrics = serde_json::to_string(&metrics)?;
    let mut columns = Columns::default();
    let mut sorted: Vec<&DeviceKey> = devices.iter().collect();
    sorted.sort();
    for key in sorted {
        columns.tenant_ids.push(key.tenant_id.to_string());
        columns.device_ids.push(key.device_id.to_string());
        columns.kinds.push("telemetry");
        columns.ts.push(now);
        columns.received_at.push(now);
        columns.site_ids.push(population::SITE);
        columns.seqs.push(Some(1));
        columns.metrics.push(metrics.clone());
    }
    Ok(Batch { readings, columns })
}
