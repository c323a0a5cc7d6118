//! retention: readings are kept for a time, then go, in steps that leave the database to others in between.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use pulse_runtime::{Clock, Deps, Progress, Spans};
use pulse_store::{Result, SharedStore};
use pulse_telemetry::BoundCounter;

use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::sub_worker::{self, Plan, STORE_DEADLINE, SubWorker};

const NAME: &str = "retention";
/// The name of the store's call in spans.
const PURGE_READINGS: &str = "purge_readings";

/// Removes old readings.
#[derive(Debug)]
pub(crate) struct Retention {
    store: SharedStore,
    clock: Clock,
    spans: Spans,
    every: Duration,
    keep: Duration,
    step_rows: u32,
    step_pause: Duration,
    purged: BoundCounter,
}

impl Retention {
    pub(crate) fn new(deps: &Deps, settings: &Settings, metrics: &Metrics) -> Self {
        Self {
            store: SharedStore::clone(&deps.store),
            clock: deps.clock.clone(),
            spans: deps.spans.clone(),
            every: settings.retention_interval,
            keep: settings.keep_readings,
            step_rows: settings.step_rows,
            step_pause: settings.step_pause,
            purged: metrics.readings_purged.clone(),
        }
    }
}

#[async_trait]
impl SubWorker for Retention {
    fn plan(&self) -> Plan {
        Plan { name: NAME, every: self.every, deadline: STORE_DEADLINE }
    }

    async fn step(&self) -> Result<Progress> {
        let began = SystemTime::now();
        let purged = self.store.purge_readings(self.clock.now() - self.keep, self.step_rows).await?;
        self.purged.add(purged.rows);
        if purged.rows > 0 {
            drop(sub_worker::with_rows(self.spans.chore(NAME, PURGE_READINGS, began), purged.rows));
        }
        Ok(if purged.more { Progress::MoreAfter(self.step_pause) } else { Progress::Idle })
    }
}
