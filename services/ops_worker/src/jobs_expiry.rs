//! jobs_expiry: a job whose worker died goes on, and what was finished long ago goes away.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_runtime::{Deps, Progress};
use pulse_store::Result;
use pulse_telemetry::BoundCounter;

use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::sub_worker::{self, Plan, STORE_DEADLINE, SubWorker};

const NAME: &str = "jobs_expiry";
/// The names of the store's calls in spans.
const EXPIRE_JOB_LEASES: &str = "expire_job_leases";
const PURGE_FINISHED: &str = "purge_finished";

/// Brings jobs back at its own pace, and removes finished work at retention's.
#[derive(Debug)]
pub(crate) struct JobsExpiry {
    deps: Deps,
    settings: Settings,
    leases_expired: BoundCounter,
    finished_purged: BoundCounter,
    /// When finished work is looked at next; none: at once.
    next_purge_at: Mutex<Option<Timestamp>>,
}

impl JobsExpiry {
    pub(crate) fn new(deps: &Deps, settings: &Settings, metrics: &Metrics) -> Self {
        Self {
            deps: deps.clone(),
            settings: settings.clone(),
            leases_expired: metrics.leases_expired.clone(),
            finished_purged: metrics.finished_purged.clone(),
            next_purge_at: Mutex::new(None),
        }
    }

    /// Whether there is more to bring back.
    async fn expire_leases(&self, now: Timestamp) -> Result<bool> {
        let began = SystemTime::now();
        let expired = self.deps.store.expire_job_leases(now, self.settings.attempts_max, self.settings.step_rows).await?;
        self.leases_expired.add(expired.rows);
        if expired.rows > 0 {
            let log =
                async { tracing::warn!(jobs = expired.rows, "jobs were not finished within their lease: a delivery worker died or hangs") };
            sub_worker::with_rows(self.deps.spans.chore(NAME, EXPIRE_JOB_LEASES, began), expired.rows).in_scope(log).await;
        }
        Ok(expired.more)
    }

    /// Whether there is more to remove now.
    async fn purge_finished(&self, now: Timestamp) -> Result<bool> {
        let next = *self.next_purge_at.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_some_and(|next| next > now) {
            return Ok(false);
        }
        let began = SystemTime::now();
        let purged = self.deps.store.purge_finished(now - self.settings.keep_finished, self.settings.step_rows).await?;
        self.finished_purged.add(purged.rows);
        if purged.rows > 0 {
            drop(sub_worker::with_rows(self.deps.spans.chore(NAME, PURGE_FINISHED, began), purged.rows));
        }
        if !purged.more {
            *self.next_purge_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + self.settings.retention_interval);
        }
        Ok(purged.more)
    }
}

#[async_trait]
impl SubWorker for JobsExpiry {
    fn plan(&self) -> Plan {
        Plan { name: NAME, every: self.settings.expiry_interval, deadline: STORE_DEADLINE }
    }

    async fn step(&self) -> Result<Progress> {
        let now = self.deps.clock.now();
        if self.expire_leases(now).await? {
            return Ok(Progress::More);
        }
        Ok(if self.purge_finished(now).await? { Progress::MoreAfter(self.settings.step_pause) } else { Progress::Idle })
    }
}
