//! The chores of the ops worker.

mod purge;

use std::collections::BTreeMap;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::Alert;
use pulse_domain::escalation::Policy;
use pulse_domain::ids::{AlertId, EventId, TenantId};
use pulse_domain::trace::TraceParent;
use sqlx::PgConnection;

use super::registry::policies;
use super::rows::Fields;
use super::transaction::Scope;
use super::{PostgresStore, alerts};
use crate::{OpsStore, Purged, Result, Topic};

/// An alert is a candidate while some policy of its tenant has a level beyond the alert's that has come due. `OFFSET 0` keeps the planner
/// from turning the question about each alert into a join, which would have no order to stop early in.
const CANDIDATES: &str = "
SELECT alert_snapshot(a) AS snapshot FROM alerts a
WHERE a.status = 'OPEN' AND a.alert_id > $1 AND (a.silenced_until IS NULL OR a.silenced_until <= $2) AND EXISTS (
    SELECT FROM policies p, json_array_elements(p.spec -> 'levels') WITH ORDINALITY l (level, number)
    WHERE p.tenant_id = a.tenant_id AND p.enabled AND p.min_severity <= a.severity
        AND l.number > a.escalation_level AND a.created_at + (l.level ->> 'after_seconds')::bigint * interval '1 second' <= $2
    OFFSET 0)
ORDER BY a.alert_id LIMIT $3";

/// Alerts that somebody else is changing at this moment are passed by, so that nobody waits for anybody's alerts in another order: they
/// are candidates again.
const ESCALATE: &str = "
WITH held AS MATERIALIZED (
    SELECT a.tenant_id, a.alert_id, e.level, e.event_id
    FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::uuid[]) AS e (tenant_id, alert_id, level, event_id)
    JOIN alerts a ON a.tenant_id = e.tenant_id AND a.alert_id = e.alert_id
    WHERE a.status = 'OPEN' AND a.escalation_level < e.level AND (a.silenced_until IS NULL OR a.silenced_until <= $5)
    FOR UPDATE OF a SKIP LOCKED)
UPDATE alerts a SET
    escalation_level = h.level, severity = least(5, a.severity + 1), raised = a.raised + 1, updated_at = $5,
    event_id = h.event_id, event_kind = 'ESCALATED', event_at = $5, event_origin_at = NULL, event_trace = $6
FROM held h WHERE a.tenant_id = h.tenant_id AND a.alert_id = h.alert_id";

/// Both kinds of end in one statement; jobs that their worker is recording at this moment are passed by.
const EXPIRE_JOBS: &str = "
WITH passed AS MATERIALIZED (
    SELECT tenant_id, job_id, attempts >= $2 AS is_dead FROM jobs
    WHERE state = 'LEASED' AND lease_until <= $1
    ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED
), pending AS (
    UPDATE jobs j SET state = 'PENDING', last_error = $4, lease_id = NULL, lease_until = NULL
    FROM passed p WHERE NOT p.is_dead AND j.tenant_id = p.tenant_id AND j.job_id = p.job_id
    RETURNING 1
), dead AS (
    DELETE FROM jobs j USING passed p WHERE p.is_dead AND j.tenant_id = p.tenant_id AND j.job_id = p.job_id
    RETURNING j.*
), finished AS (
    INSERT INTO finished_jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
        finished_at, origin_at, trace, attempt_trace, last_error, payload)
    SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, 'DEAD', attempts, run_at, created_at, $1, origin_at, trace,
        attempt_trace, $4, payload
    FROM dead RETURNING 1)
SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM finished) AS rows";

const UNFINISHED: &str = "the worker did not finish within its lease";

#[async_trait]
impl OpsStore for PostgresStore {
    async fn escalation_candidates(&self, now: Timestamp, after: Option<AlertId>, limit: u32) -> Result<(Vec<Alert>, Vec<Policy>)> {
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let rows = sqlx::query(CANDIDATES)
            .bind(after.map_or(uuid::Uuid::nil(), |id| id.0))
            .bind(now)
            .bind(i64::from(limit))
            .fetch_all(transaction.connection())
            .await?;
        let alerts = rows.iter().map(alerts::alert).collect::<Result<Vec<Alert>>>()?;
        let policies = if alerts.is_empty() { Vec::new() } else { policies_of(transaction.connection(), &alerts).await? };
        transaction.commit().await?;
        Ok((alerts, policies))
    }

    async fn escalate(&self, alerts: &[(TenantId, AlertId, u32)], now: Timestamp, trace: Option<&TraceParent>) -> Result<u64> {
        let mut levels: BTreeMap<(&str, AlertId), i32> = BTreeMap::new();
        for (tenant_id, alert_id, level) in alerts {
            let level = i32::try_from(*level).unwrap_or(i32::MAX);
            levels.entry((tenant_id.as_str(), *alert_id)).and_modify(|highest| *highest = level.max(*highest)).or_insert(level);
        }
        let query = sqlx::query(ESCALATE)
            .bind(levels.keys().map(|(tenant_id, _)| *tenant_id).collect::<Vec<_>>())
            .bind(levels.keys().map(|(_, alert_id)| alert_id.0).collect::<Vec<_>>())
            .bind(levels.values().copied().collect::<Vec<_>>())
            .bind(levels.keys().map(|_| EventId::generate().0).collect::<Vec<_>>())
            .bind(now)
            .bind(trace.map(TraceParent::as_str));
        let raised = self.execute(Scope::AllTenants, query).await?;
        if raised > 0 {
            self.hints.signal(Topic::Events);
        }
        Ok(raised)
    }

    async fn expire_job_leases(&self, now: Timestamp, attempts_max: u32, limit: u32) -> Result<Purged> {
        let attempts_max = i32::try_from(attempts_max).unwrap_or(i32::MAX);
        let query = sqlx::query(EXPIRE_JOBS).bind(now).bind(attempts_max).bind(i64::from(limit)).bind(UNFINISHED);
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let row = query.fetch_one(transaction.connection()).await?;
        transaction.commit().await?;
        let rows: u64 = Fields::new(&row, "jobs whose lease has passed").number("rows")?;
        if rows > 0 {
            self.hints.signal(Topic::Jobs);
        }
        Ok(Purged { rows, more: rows >= u64::from(limit) })
    }

    async fn purge_finished(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        purge::finished(self, before, limit).await
    }

    async fn purge_readings(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        purge::readings(self, before, limit).await
    }
}

/// The enabled policies of these alerts' tenants.
async fn policies_of(connection: &mut PgConnection, alerts: &[Alert]) -> Result<Vec<Policy>> {
    let mut tenants: Vec<&str> = alerts.iter().map(|alert| alert.tenant_id.as_str()).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let rows = sqlx::query(
        "SELECT tenant_id, policy_id, spec, created_at
        FROM policies WHERE tenant_id = ANY($1) AND enabled ORDER BY tenant_id, policy_id",
    )
    .bind(tenants)
    .fetch_all(connection)
    .await?;
    rows.iter().map(policies::policy).collect()
}
