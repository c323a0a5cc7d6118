//! Events to dispatch.

use std::collections::HashSet;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::AlertEvent;
use pulse_domain::ids::{EventId, IntegrationId, JobId, LeaseId, RouteId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::NewJob;
use pulse_domain::payload::Payload;
use pulse_domain::route::Route;
use pulse_domain::trace::TraceParent;
use serde::Serialize;

use super::registry::routes;
use super::rows::{Fields, blob, micros, micros_after, to_json};
use super::{SqliteStore, alerts};
use crate::{Backlog, Claim, DispatchStore, DispatchSummary, EventBatch, Result, Topic};

/// The head of the queue that nobody holds.
pub(super) const CLAIM: &str = "
UPDATE alert_events SET lease_id = ?1, lease_until = ?2
WHERE seq IN (
    SELECT seq FROM alert_events
    WHERE dispatched_at IS NULL AND (lease_until IS NULL OR lease_until <= ?3)
    ORDER BY seq LIMIT ?4)
RETURNING seq, tenant_id, event_id, kind, at, origin_at, trace, alert";

pub(super) const ROUTES: &str = "
SELECT r.tenant_id, r.route_id, r.spec, r.created_at, i.queue
FROM json_each(?1) t
CROSS JOIN routes r ON r.tenant_id = t.value
CROSS JOIN integrations i ON i.tenant_id = r.tenant_id AND i.integration_id = r.integration_id
WHERE r.enabled AND i.enabled";

pub(super) const FINISH: &str = "
UPDATE alert_events SET dispatched_at = ?3, lease_until = NULL
FROM jsonb_each(?1) e
WHERE alert_events.tenant_id = e.value ->> 0 AND alert_events.event_id = unhex(e.value ->> 1, '-')
    AND alert_events.dispatched_at IS NULL AND alert_events.lease_id = ?2 AND alert_events.lease_until > ?3
RETURNING event_id";

/// Only for events that [`FINISH`] has just taken off the queue under this lease.
pub(super) const MAKE_JOBS: &str = "
INSERT INTO jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, run_at, created_at, origin_at, trace, payload)
SELECT j.value ->> 'tenant_id', unhex(j.value ->> 'job_id', '-'), unhex(j.value ->> 'event_id', '-'),
    unhex(j.value ->> 'route_id', '-'), unhex(j.value ->> 'integration_id', '-'), j.value ->> 'queue', j.value ->> 'run_at', ?3,
    j.value ->> 'origin_at', j.value ->> 'trace', j.value -> 'payload'
FROM jsonb_each(?1) j
WHERE EXISTS (
    SELECT 1 FROM alert_events e
    WHERE e.tenant_id = j.value ->> 'tenant_id' AND e.event_id = unhex(j.value ->> 'event_id', '-')
        AND e.lease_id = ?2 AND e.dispatched_at = ?3)
ON CONFLICT DO NOTHING";

#[derive(Serialize)]
struct JobArgument<'a> {
    tenant_id: &'a TenantId,
    job_id: JobId,
    event_id: EventId,
    route_id: RouteId,
    integration_id: IntegrationId,
    queue: Queue,
    run_at: i64,
    origin_at: Option<i64>,
    trace: Option<&'a TraceParent>,
    payload: &'a Payload,
}

impl<'a> From<&'a NewJob> for JobArgument<'a> {
    fn from(job: &'a NewJob) -> Self {
        Self {
            tenant_id: &job.tenant_id,
            job_id: job.job_id,
            event_id: job.event_id,
            route_id: job.route_id,
            integration_id: job.integration_id,
            queue: job.queue,
            run_at: micros(job.run_at),
            origin_at: job.origin_at.map(micros),
            trace: job.trace.as_ref(),
            payload: &job.payload,
        }
    }
}

#[async_trait]
impl DispatchStore for SqliteStore {
    async fn dispatch_backlog(&self, _now: Timestamp) -> Result<Backlog> {
        let row = sqlx::query(
            "SELECT count(*) AS depth, (SELECT at FROM alert_events WHERE dispatched_at IS NULL ORDER BY seq LIMIT 1) AS oldest_at
            FROM alert_events WHERE dispatched_at IS NULL",
        )
        .fetch_one(&mut *self.reader().await?)
        .await?;
        Fields::new(&row, "the dispatch backlog").backlog()
    }

    async fn claim_events(&self, claim: Claim) -> Result<EventBatch> {
        let lease = crate::new_lease();
        let mut claimed = {
            let mut writer = self.writer().await?;
            sqlx::query(CLAIM)
                .bind(blob(&lease.0))
                .bind(micros_after(claim.now, claim.lease))
                .bind(micros(claim.now))
                .bind(claim.limit)
                .fetch_all(writer.connection())
                .await?
                .iter()
                .map(|row| Ok((Fields::new(row, "an alert's event").get("seq")?, alerts::event(row)?)))
                .collect::<Result<Vec<(i64, AlertEvent)>>>()?
        };
        claimed.sort_unstable_by_key(|(seq, _)| *seq);
        let events: Vec<AlertEvent> = claimed.into_iter().map(|(_, event)| event).collect();
        let routes = if events.is_empty() { Vec::new() } else { self.routes_for(&events).await? };
        Ok(EventBatch { lease, events, routes })
    }

    async fn commit_dispatch(
        &self,
        lease: LeaseId,
        events: &[(TenantId, EventId)],
        jobs: &[NewJob],
        now: Timestamp,
    ) -> Result<DispatchSummary> {
        let arguments: Vec<JobArgument<'_>> = jobs.iter().map(JobArgument::from).collect();
        let (events_json, jobs_json) = (to_json(events)?, to_json(&arguments)?);
        let mut transaction = self.write().await?;
        let finished = sqlx::query(FINISH)
            .bind(events_json)
            .bind(blob(&lease.0))
            .bind(micros(now))
            .fetch_all(transaction.connection())
            .await?
            .iter()
            .map(|row| Fields::new(row, "a dispatched event").id("event_id").map(EventId))
            .collect::<Result<HashSet<EventId>>>()?;
        let made = if jobs.is_empty() || finished.is_empty() {
            0
        } else {
            let made = sqlx::query(MAKE_JOBS).bind(jobs_json).bind(blob(&lease.0)).bind(micros(now));
            made.execute(transaction.connection()).await?.rows_affected()
        };
        transaction.commit().await?;
        if made > 0 {
            self.signal(Topic::Jobs);
        }
        Ok(DispatchSummary { dispatched: finished, jobs: made })
    }
}

impl SqliteStore {
    async fn routes_for(&self, events: &[AlertEvent]) -> Result<Vec<(Route, Queue)>> {
        let tenants: std::collections::BTreeSet<&TenantId> = events.iter().map(|event| &event.alert.tenant_id).collect();
        let rows = sqlx::query(ROUTES).bind(to_json(&tenants)?).fetch_all(&mut *self.reader().await?).await?;
        rows.iter().map(|row| Ok((routes::route(row)?, Fields::new(row, "a route").one_of("queue", &Queue::ALL, Queue::as_str)?))).collect()
    }
}
