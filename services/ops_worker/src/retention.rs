//! retention: readings are kept for a time, then go, in steps that leave the database to others in between.

use std::time::SystemTime;

use async_trait::async_trait;
use pulse_runtime::{Deps, Progress};
use pulse_store::Result;
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
    deps: Deps,
    settings: Settings,
    purged: BoundCounter,
}

impl Retention {
    pub(crate) fn new(deps: &Deps, settings: &Settings, metrics: &Metrics) -> Self {
        Self { deps: deps.clone(), settings: settings.clone(), purged: metrics.readings_purged.clone() }
    }
}

#[async_trait]
impl SubWorker for Retention {
    fn plan(&self) -> Plan {
        Plan { name: NAME, every: self.settings.retention_interval, deadline: STORE_DEADLINE }
    }

    async fn step(&self) -> Result<Progress> {
        let began = SystemTime::now();
        let Self { deps, settings, .. } = self;
        let purged = deps.store.purge_readings(deps.clock.now() - settings.keep_readings, settings.step_rows).await?;
        self.purged.add(purged.rows);
        if purged.rows > 0 {
            drop(sub_worker::with_rows(deps.spans.chore(NAME, PURGE_READINGS, began), purged.rows));
        }
        Ok(if purged.more { Progress::MoreAfter(settings.step_pause) } else { Progress::Idle })
    }
}
