//! Jobs to deliver.

mod list;
mod record;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::ids::{IntegrationId, JobId, LeaseId, TenantId};
use pulse_domain::integration::{Integration, Queue};
use pulse_domain::job::{Attempt, Job};
use sqlx::PgConnection;

use super::PostgresStore;
use super::registry::integrations;
use super::rows::{Fields, after};
use super::transaction::Scope;
use crate::{
    AttemptRecord, Backlog, Claim, ClaimedJob, DeliveryStore, JobBatch, JobFilter, Page, PageRequest, RecordSummary, Result, Topic,
};

const BACKLOG: &str = "
SELECT sum(depth)::bigint AS depth, min(oldest_at) AS oldest_at FROM (
    SELECT count(*) AS depth, min(run_at) AS oldest_at FROM jobs WHERE state = 'PENDING' AND queue = $1 AND run_at <= $2
    UNION ALL
    SELECT count(*), min(run_at) FROM jobs WHERE state = 'LEASED' AND queue = $1) part";

/// The jobs of a queue that are due, but for those of busy integrations; what others are claiming is passed by.
const CLAIM: &str = "
UPDATE jobs SET state = 'LEASED', attempts = attempts + 1, lease_id = $1, lease_until = $2
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM jobs
    WHERE state = 'PENDING' AND queue = $5 AND run_at <= $3 AND integration_id <> ALL($6)
    ORDER BY run_at, job_id LIMIT $4 FOR UPDATE SKIP LOCKED))
RETURNING tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
    NULL::timestamptz AS finished_at, origin_at, payload, trace, attempt_trace, last_error";

/// Only jobs that are LEASED have a lease. They are looked up by key, as [`record`] does.
const RELEASE: &str = "
UPDATE jobs SET state = 'PENDING', attempts = attempts - 1, lease_id = NULL, lease_until = NULL
WHERE ctid = ANY(ARRAY(
    SELECT h.ctid FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, job_id)
    CROSS JOIN LATERAL (SELECT ctid FROM jobs WHERE tenant_id = k.tenant_id AND job_id = k.job_id AND lease_id = $3 OFFSET 0) h))
    AND lease_id = $3";

const REPLAY: &str = "
WITH dead AS (DELETE FROM finished_jobs WHERE tenant_id = $1 AND job_id = $2 AND state = 'DEAD' RETURNING *)
INSERT INTO jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, run_at, created_at, origin_at, trace, attempt_trace, payload)
SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, $3, created_at, origin_at, trace, attempt_trace, payload FROM dead
RETURNING tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
    NULL::timestamptz AS finished_at, origin_at, payload, trace, attempt_trace, last_error";

#[async_trait]
impl DeliveryStore for PostgresStore {
    async fn job_backlog(&self, queue: Queue, now: Timestamp) -> Result<Backlog> {
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let row = sqlx::query(BACKLOG).bind(queue.as_str()).bind(now).fetch_one(transaction.connection()).await?;
        transaction.commit().await?;
        Fields::new(&row, "the delivery backlog").backlog()
    }

    async fn claim_jobs(&self, queue: Queue, claim: Claim, busy: &[IntegrationId]) -> Result<JobBatch> {
        let lease = crate::new_lease();
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let rows = sqlx::query(CLAIM)
            .bind(lease.0)
            .bind(after(claim.now, claim.lease))
            .bind(claim.now)
            .bind(i64::from(claim.limit))
            .bind(queue.as_str())
            .bind(busy.iter().map(|id| id.0).collect::<Vec<_>>())
            .fetch_all(transaction.connection())
            .await?;
        let mut jobs = rows.iter().map(list::job).collect::<Result<Vec<Job>>>()?;
        jobs.sort_unstable_by_key(|job| (job.run_at, job.job_id));
        let integrations = if jobs.is_empty() { HashMap::new() } else { integrations_of(transaction.connection(), &jobs).await? };
        transaction.commit().await?;
        let jobs = jobs.into_iter().map(|job| {
            let integration = integrations.get(&job.integration_id).filter(|found| found.tenant_id == job.tenant_id).cloned();
            ClaimedJob { job, integration }
        });
        Ok(JobBatch { lease, jobs: jobs.collect() })
    }

    async fn release_jobs(&self, lease: LeaseId, jobs: &[(TenantId, JobId)]) -> Result<u64> {
        let query = sqlx::query(RELEASE)
            .bind(jobs.iter().map(|(tenant_id, _)| tenant_id.as_str()).collect::<Vec<_>>())
            .bind(jobs.iter().map(|(_, job_id)| job_id.0).collect::<Vec<_>>())
            .bind(lease.0);
        let released = self.execute(Scope::AllTenants, query).await?;
        if released > 0 {
            self.hints.signal(Topic::Jobs);
        }
        Ok(released)
    }

    async fn record_attempts(&self, records: &[AttemptRecord], now: Timestamp) -> Result<RecordSummary> {
        record::record(self, records, now).await
    }

    async fn job(&self, tenant_id: &TenantId, job_id: JobId) -> Result<Option<Job>> {
        let row = self.row(tenant_id, list::find(tenant_id, job_id)).await?;
        row.as_ref().map(list::job).transpose()
    }

    async fn jobs(&self, tenant_id: &TenantId, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        list::page(self, tenant_id, filter, page).await
    }

    async fn attempts(&self, tenant_id: &TenantId, job_id: JobId) -> Result<Vec<Attempt>> {
        list::attempts(self, tenant_id, job_id).await
    }

    async fn replay_job(&self, tenant_id: &TenantId, job_id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>> {
        let mut transaction = self.begin(tenant_id).await?;
        let replay = sqlx::query(REPLAY).bind(tenant_id.as_str()).bind(job_id.0).bind(now);
        let replayed = replay.fetch_optional(transaction.connection()).await?;
        let was_dead = replayed.is_some();
        let row = match replayed {
            Some(row) => Some(row),
            None => list::find(tenant_id, job_id).fetch_optional(transaction.connection()).await?,
        };
        transaction.commit().await?;
        if was_dead {
            self.hints.signal(Topic::Jobs);
        }
        row.as_ref().map(|row| Ok((list::job(row)?, was_dead))).transpose()
    }
}

/// The enabled integrations of these jobs.
async fn integrations_of(connection: &mut PgConnection, jobs: &[Job]) -> Result<HashMap<IntegrationId, Arc<Integration>>> {
    let keys: BTreeSet<(&TenantId, IntegrationId)> = jobs.iter().map(|job| (&job.tenant_id, job.integration_id)).collect();
    let rows = sqlx::query(
        "SELECT i.tenant_id, i.integration_id, i.name, i.enabled, i.destination, i.created_at
        FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, integration_id)
        JOIN integrations i ON i.tenant_id = k.tenant_id AND i.integration_id = k.integration_id
        WHERE i.enabled",
    )
    .bind(keys.iter().map(|(tenant_id, _)| tenant_id.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, id)| id.0).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let integration = integrations::integration(row)?;
            Ok((integration.integration_id, Arc::new(integration)))
        })
        .collect()
}
