//! Events to dispatch.
//!
//! A queue's rows are found by key and then by place (`ctid = ANY(ARRAY(… LATERAL …))`), a form that leaves the planner no choice: a table that was
//! empty when its statistics or a plan were made looks empty to it for a minute, and a join would read all that came since for every batch. For the
//! same reason `jobs` has one index, which begins with the tenant. A tenant, event and route have one job because an event leaves `pending_events`
//! once, in the transaction that makes its jobs; on SQLite, where an index is cheap, a unique index holds it too.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::AlertEvent;
use pulse_domain::ids::{EventId, LeaseId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::NewJob;
use pulse_domain::route::Route;
use pulse_domain::trace::TraceParent;
use sqlx::PgConnection;

use super::registry::routes;
use super::rows::{Fields, after};
use super::transaction::Scope;
use super::{PostgresStore, alerts};
use crate::{Backlog, Claim, DispatchStore, DispatchSummary, EventBatch, Result, Topic};

/// The head of the queue that nobody holds; what others are claiming is passed by.
const CLAIM: &str = "
WITH claimed AS (
    UPDATE pending_events SET lease_id = $1, lease_until = $2
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM pending_events
        WHERE lease_until IS NULL OR lease_until <= $3
        ORDER BY seq LIMIT $4 FOR UPDATE SKIP LOCKED))
    RETURNING tenant_id, alert_id, seq)
SELECT e.event_id, e.kind, e.at, e.origin_at, e.trace, e.alert
FROM claimed c JOIN alert_events e ON e.tenant_id = c.tenant_id AND e.alert_id = c.alert_id AND e.seq = c.seq
ORDER BY c.seq";

const ROUTES: &str = "
SELECT r.tenant_id, r.route_id, r.spec, r.created_at, i.queue
FROM routes r JOIN integrations i ON i.tenant_id = r.tenant_id AND i.integration_id = r.integration_id
WHERE r.tenant_id = ANY($1) AND r.enabled AND i.enabled
ORDER BY r.tenant_id, r.route_id";

/// Takes off the queue what is still held; what it took.
///
/// Each is looked up by its key, whatever the statistics say of the queue, which is empty at one time and long at another.
const FINISH: &str = "
DELETE FROM pending_events
WHERE ctid = ANY(ARRAY(
    SELECT h.ctid FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, event_id)
    CROSS JOIN LATERAL (SELECT ctid FROM pending_events WHERE tenant_id = k.tenant_id AND event_id = k.event_id AND lease_id = $3 OFFSET 0) h))
    AND lease_id = $3 AND lease_until > $4
RETURNING tenant_id, event_id";

const MAKE_JOBS: &str = "
INSERT INTO jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, run_at, origin_at, trace, payload, created_at)
SELECT j.*, $11 FROM (
    SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, run_at, origin_at, trace, payload::json
    FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[],
        $10::text[]) AS j (tenant_id, job_id, event_id, route_id, integration_id, queue, run_at, origin_at, trace, payload)) j
ON CONFLICT DO NOTHING";

#[async_trait]
impl DispatchStore for PostgresStore {
    async fn dispatch_backlog(&self, _now: Timestamp) -> Result<Backlog> {
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let row =
            sqlx::query("SELECT count(*) AS depth, (SELECT at FROM pending_events ORDER BY seq LIMIT 1) AS oldest_at FROM pending_events")
                .fetch_one(transaction.connection())
                .await?;
        transaction.commit().await?;
        Fields::new(&row, "the dispatch backlog").backlog()
    }

    async fn claim_events(&self, claim: Claim) -> Result<EventBatch> {
        let lease = crate::new_lease();
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let rows = sqlx::query(CLAIM)
            .bind(lease.0)
            .bind(after(claim.now, claim.lease))
            .bind(claim.now)
            .bind(i64::from(claim.limit))
            .fetch_all(transaction.connection())
            .await?;
        let events = rows.iter().map(alerts::event).collect::<Result<Vec<AlertEvent>>>()?;
        let routes = if events.is_empty() { Vec::new() } else { routes_for(transaction.connection(), &events).await? };
        transaction.commit().await?;
        Ok(EventBatch { lease, events, routes })
    }

    async fn commit_dispatch(
        &self,
        lease: LeaseId,
        events: &[(TenantId, EventId)],
        jobs: &[NewJob],
        now: Timestamp,
    ) -> Result<DispatchSummary> {
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let finished = finish(transaction.connection(), lease, events, now).await?;
        // An event leaves its queue once, and its jobs are made then: one a route.
        let mut once = HashSet::new();
        let is_wanted =
            |job: &&NewJob| finished.contains(&(job.tenant_id.as_str(), job.event_id)) && once.insert((job.event_id, job.route_id));
        let wanted: Vec<&NewJob> = jobs.iter().filter(is_wanted).collect();
        let made = if wanted.is_empty() { 0 } else { make_jobs(transaction.connection(), &wanted, now).await? };
        transaction.commit().await?;
        if made > 0 {
            self.hints.signal(Topic::Jobs);
        }
        Ok(DispatchSummary { dispatched: finished.into_iter().map(|(_, event_id)| event_id).collect(), jobs: made })
    }
}

async fn routes_for(connection: &mut PgConnection, events: &[AlertEvent]) -> Result<Vec<(Route, Queue)>> {
    let tenants: BTreeSet<&str> = events.iter().map(|event| event.alert.tenant_id.as_str()).collect();
    let rows = sqlx::query(ROUTES).bind(tenants.into_iter().collect::<Vec<_>>()).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((routes::route(row)?, Fields::new(row, "a route").one_of("queue", &Queue::ALL, Queue::as_str)?))).collect()
}

/// Takes events off the queue; those that were still held.
async fn finish<'a>(
    connection: &mut PgConnection,
    lease: LeaseId,
    events: &'a [(TenantId, EventId)],
    now: Timestamp,
) -> Result<HashSet<(&'a str, EventId)>> {
    let rows = sqlx::query(FINISH)
        .bind(events.iter().map(|(tenant_id, _)| tenant_id.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, event_id)| event_id.0).collect::<Vec<_>>())
        .bind(lease.0)
        .bind(now)
        .fetch_all(connection)
        .await?;
    let keys = rows.iter().map(|row| {
        let fields = Fields::new(row, "a dispatched event");
        Ok((fields.get("tenant_id")?, EventId(fields.id("event_id")?)))
    });
    let found = keys.collect::<Result<HashSet<(&str, EventId)>>>()?;
    let key = |(tenant_id, event_id): &'a (TenantId, EventId)| (tenant_id.as_str(), *event_id);
    Ok(events.iter().map(key).filter(|key| found.contains(key)).collect())
}

async fn make_jobs(connection: &mut PgConnection, jobs: &[&NewJob], now: Timestamp) -> Result<u64> {
    let made = sqlx::query(MAKE_JOBS)
        .bind(jobs.iter().map(|job| job.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.job_id.0).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.event_id.0).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.route_id.0).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.integration_id.0).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.queue.as_str()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.run_at).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.origin_at).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.trace.as_ref().map(TraceParent::as_str)).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.payload.as_str()).collect::<Vec<_>>())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(made.rows_affected())
}
