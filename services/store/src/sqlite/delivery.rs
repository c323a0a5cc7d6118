//! Jobs to deliver.

mod list;
mod record;

#[cfg(test)]
pub(super) use record::{FINISH, LOG};

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::ids::{IntegrationId, JobId, LeaseId, TenantId};
use pulse_domain::integration::{Integration, Queue};
use pulse_domain::job::{Attempt, Job, JobState};

use super::SqliteStore;
use super::registry::integrations;
use super::rows::{Fields, blob, micros, micros_after, to_json};
use crate::{
    AttemptRecord, Backlog, Claim, ClaimedJob, DeliveryStore, JobBatch, JobFilter, Page, PageRequest, RecordSummary, Result, Topic,
};

/// The jobs of a queue that are due, but for those of busy integrations.
pub(super) const CLAIM: &str = "
UPDATE jobs SET state = 'LEASED', attempts = attempts + 1, lease_id = ?1, lease_until = ?2
WHERE (tenant_id, job_id) IN (
    SELECT tenant_id, job_id FROM jobs
    WHERE state = 'PENDING' AND queue = ?5 AND run_at <= ?3
        AND integration_id NOT IN (SELECT unhex(value, '-') FROM json_each(?6))
    ORDER BY run_at, job_id LIMIT ?4)
RETURNING tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
    finished_at, origin_at, payload, trace, attempt_trace, last_error";

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn job_backlog(&self, queue: Queue, now: Timestamp) -> Result<Backlog> {
        let row = sqlx::query(
            "SELECT sum(depth) AS depth, min(oldest_at) AS oldest_at FROM (
                SELECT count(*) AS depth, min(run_at) AS oldest_at FROM jobs WHERE state = 'PENDING' AND queue = ?1 AND run_at <= ?2
                UNION ALL
                SELECT count(*), min(run_at) FROM jobs WHERE state = 'LEASED' AND queue = ?1)",
        )
        .bind(queue.as_str())
        .bind(micros(now))
        .fetch_one(&mut *self.reader().await?)
        .await?;
        Fields::new(&row, "the delivery backlog").backlog()
    }

    async fn claim_jobs(&self, queue: Queue, claim: Claim, busy: &[IntegrationId]) -> Result<JobBatch> {
        let lease = crate::new_lease();
        let busy = to_json(busy)?;
        let rows = {
            let mut writer = self.writer().await?;
            sqlx::query(CLAIM)
                .bind(blob(&lease.0))
                .bind(micros_after(claim.now, claim.lease))
                .bind(micros(claim.now))
                .bind(claim.limit)
                .bind(queue.as_str())
                .bind(busy)
                .fetch_all(writer.connection())
                .await?
        };
        let mut jobs = rows.iter().map(list::job).collect::<Result<Vec<Job>>>()?;
        jobs.sort_unstable_by_key(|job| (job.run_at, job.job_id));
        let integrations = if jobs.is_empty() { HashMap::new() } else { self.integrations_of(&jobs).await? };
        let jobs = jobs.into_iter().map(|job| {
            let integration = integrations.get(&job.integration_id).filter(|found| found.tenant_id == job.tenant_id).cloned();
            ClaimedJob { job, integration }
        });
        Ok(JobBatch { lease, jobs: jobs.collect() })
    }

    async fn release_jobs(&self, lease: LeaseId, jobs: &[(TenantId, JobId)]) -> Result<u64> {
        let jobs = to_json(jobs)?;
        let mut writer = self.writer().await?;
        let released = sqlx::query(
            "UPDATE jobs SET state = 'PENDING', attempts = attempts - 1, lease_id = NULL, lease_until = NULL
            FROM jsonb_each(?1) j
            WHERE jobs.tenant_id = j.value ->> 0 AND jobs.job_id = unhex(j.value ->> 1, '-') AND jobs.state = 'LEASED' AND jobs.lease_id = ?2",
        )
        .bind(jobs)
        .bind(blob(&lease.0))
        .execute(writer.connection())
        .await?
        .rows_affected();
        if released > 0 {
            self.signal(Topic::Jobs);
        }
        Ok(released)
    }

    async fn record_attempts(&self, records: &[AttemptRecord], now: Timestamp) -> Result<RecordSummary> {
        record::record(self, records, now).await
    }

    async fn job(&self, tenant_id: &TenantId, job_id: JobId) -> Result<Option<Job>> {
        list::find(&mut *self.reader().await?, tenant_id, job_id).await
    }

    async fn jobs(&self, tenant_id: &TenantId, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        list::page(self, tenant_id, filter, page).await
    }

    async fn attempts(&self, tenant_id: &TenantId, job_id: JobId) -> Result<Vec<Attempt>> {
        list::attempts(self, tenant_id, job_id).await
    }

    async fn replay_job(&self, tenant_id: &TenantId, job_id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>> {
        let mut transaction = self.write().await?;
        let Some(mut job) = list::find(transaction.connection(), tenant_id, job_id).await? else { return Ok(None) };
        let was_dead = job.state == JobState::Dead;
        if was_dead {
            sqlx::query(
                "UPDATE jobs SET state = 'PENDING', attempts = 0, run_at = ?3, finished_at = NULL, last_error = NULL
                WHERE tenant_id = ?1 AND job_id = ?2",
            )
            .bind(tenant_id.as_str())
            .bind(blob(&job_id.0))
            .bind(micros(now))
            .execute(transaction.connection())
            .await?;
            job = list::find(transaction.connection(), tenant_id, job_id).await?.unwrap_or(job);
        }
        transaction.commit().await?;
        if was_dead {
            self.signal(Topic::Jobs);
        }
        Ok(Some((job, was_dead)))
    }
}

impl SqliteStore {
    /// The enabled integrations of these jobs.
    async fn integrations_of(&self, jobs: &[Job]) -> Result<HashMap<IntegrationId, Arc<Integration>>> {
        let keys: BTreeSet<(&TenantId, IntegrationId)> = jobs.iter().map(|job| (&job.tenant_id, job.integration_id)).collect();
        let rows = sqlx::query(
            "SELECT i.tenant_id, i.integration_id, i.name, i.enabled, i.destination, i.created_at FROM jsonb_each(?1) k
            CROSS JOIN integrations i ON i.tenant_id = k.value ->> 0 AND i.integration_id = unhex(k.value ->> 1, '-')
            WHERE i.enabled",
        )
        .bind(to_json(&keys)?)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let integration = integrations::integration(row)?;
                Ok((integration.integration_id, Arc::new(integration)))
            })
            .collect()
    }
}
