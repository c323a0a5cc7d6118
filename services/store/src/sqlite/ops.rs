//! The chores of the ops worker.

use std::collections::BTreeSet;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::Alert;
use pulse_domain::escalation::Policy;
use pulse_domain::ids::{AlertId, EventId, TenantId};
use pulse_domain::trace::TraceParent;
use sqlx::sqlite::SqliteQueryResult;
use uuid::Uuid;

use super::registry::policies;
use super::rows::{blob, micros, to_json};
use super::{SqliteStore, alerts};
use crate::{OpsStore, Purged, Result, Topic};

/// An alert is a candidate while some policy of its tenant has a level beyond the alert's that has come due.
pub(super) const CANDIDATES: &str = "
SELECT snapshot FROM alert_snapshots a
WHERE a.status = 'OPEN' AND a.alert_id > ?1 AND (a.silenced_until IS NULL OR a.silenced_until <= ?2) AND EXISTS (
    SELECT 1 FROM policies p, jsonb_each(p.spec, '$.levels') l
    WHERE p.tenant_id = a.tenant_id AND p.enabled AND p.min_severity <= a.severity
        AND l.key + 1 > a.escalation_level AND a.created_at + (l.value ->> 'after_seconds') * 1000000 <= ?2)
ORDER BY a.alert_id LIMIT ?3";

pub(super) const ESCALATE: &str = "
UPDATE alerts SET
    escalation_level = e.value ->> 2, severity = min(5, severity + 1), raised = raised + 1, updated_at = ?2,
    event_id = unhex(e.value ->> 3, '-'), event_kind = 'ESCALATED', event_at = ?2, event_origin_at = NULL, event_trace = ?3
FROM jsonb_each(?1) e
WHERE alerts.tenant_id = e.value ->> 0 AND alerts.alert_id = unhex(e.value ->> 1, '-') AND alerts.status = 'OPEN'
    AND alerts.escalation_level < e.value ->> 2 AND (alerts.silenced_until IS NULL OR alerts.silenced_until <= ?2)";

pub(super) const EXPIRE_JOBS: &str = "
UPDATE jobs SET
    state = CASE WHEN attempts >= ?2 THEN 'DEAD' ELSE 'PENDING' END,
    finished_at = CASE WHEN attempts >= ?2 THEN ?1 END,
    last_error = 'the worker did not finish within its lease',
    lease_id = NULL,
    lease_until = NULL
WHERE (tenant_id, job_id) IN (
    SELECT tenant_id, job_id FROM jobs WHERE state = 'LEASED' AND lease_until <= ?1 ORDER BY lease_until LIMIT ?3)";

const PURGE_JOBS: &str = "
DELETE FROM jobs WHERE (tenant_id, job_id) IN (
    SELECT tenant_id, job_id FROM jobs WHERE finished_at < ?1 ORDER BY finished_at LIMIT ?2)";

const PURGE_EVENTS: &str = "
DELETE FROM alert_events WHERE seq IN (SELECT seq FROM alert_events WHERE dispatched_at < ?1 ORDER BY dispatched_at LIMIT ?2)";

const PURGE_ALERTS: &str = "
DELETE FROM alerts WHERE (tenant_id, alert_id) IN (
    SELECT tenant_id, alert_id FROM alerts WHERE closed_at < ?1 ORDER BY closed_at LIMIT ?2)";

/// What nothing asks for any more: silences that are over, instances of ingest that are gone.
const PURGE_SILENCES: &str = "
DELETE FROM silences WHERE (tenant_id, fingerprint) IN (SELECT tenant_id, fingerprint FROM silences WHERE until < ?1 LIMIT ?2)";
const PURGE_INSTANCES: &str = "
DELETE FROM ingest_progress WHERE instance IN (SELECT instance FROM ingest_progress WHERE reported_at < ?1 LIMIT ?2)";

/// Looked for as a reader, as this may pass by many that are not yet evaluated. An id is at least the receipt, and where clocks went back
/// the ids are ahead of them: so the head of the log is looked at in any case.
const OLD_READINGS: &str = "
SELECT json_group_array(reading_id) AS ids, count(*) AS rows FROM (
    SELECT r.reading_id
    FROM readings r CROSS JOIN device_state s ON s.tenant_id = r.tenant_id AND s.device_id = r.device_id
    WHERE r.reading_id < max(?1, coalesce((SELECT reading_id FROM readings ORDER BY reading_id LIMIT 1 OFFSET ?2), 9223372036854775807))
        AND r.received_at < ?1 AND r.reading_id <= s.evaluated_through
    ORDER BY r.reading_id LIMIT ?2)";

pub(super) const PURGE_READINGS: &str = "DELETE FROM readings WHERE reading_id IN (SELECT value FROM json_each(?1))";

fn purged(done: &SqliteQueryResult, limit: u32) -> Purged {
    Purged { rows: done.rows_affected(), more: done.rows_affected() >= u64::from(limit) }
}

#[async_trait]
impl OpsStore for SqliteStore {
    async fn escalation_candidates(&self, now: Timestamp, after: Option<AlertId>, limit: u32) -> Result<(Vec<Alert>, Vec<Policy>)> {
        let rows = sqlx::query(CANDIDATES)
            .bind(blob(&after.map_or(Uuid::nil(), |id| id.0)))
            .bind(micros(now))
            .bind(limit)
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let alerts = rows.iter().map(alerts::alert).collect::<Result<Vec<Alert>>>()?;
        if alerts.is_empty() {
            return Ok((alerts, Vec::new()));
        }
        let tenants: BTreeSet<&TenantId> = alerts.iter().map(|alert| &alert.tenant_id).collect();
        let rows = sqlx::query(
            "SELECT p.tenant_id, p.policy_id, p.spec, p.created_at
            FROM json_each(?1) t CROSS JOIN policies p ON p.tenant_id = t.value WHERE p.enabled
            ORDER BY p.tenant_id, p.policy_id",
        )
        .bind(to_json(&tenants)?)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let policies = rows.iter().map(policies::policy).collect::<Result<Vec<Policy>>>()?;
        Ok((alerts, policies))
    }

    async fn escalate(&self, alerts: &[(TenantId, AlertId, u32)], now: Timestamp, trace: Option<&TraceParent>) -> Result<u64> {
        let arguments: Vec<(&TenantId, AlertId, u32, EventId)> =
            alerts.iter().map(|(tenant_id, alert_id, level)| (tenant_id, *alert_id, *level, EventId::generate())).collect();
        let arguments = to_json(&arguments)?;
        let raised = {
            let mut writer = self.writer().await?;
            let trace = trace.map(TraceParent::as_str);
            sqlx::query(ESCALATE).bind(arguments).bind(micros(now)).bind(trace).execute(writer.connection()).await?.rows_affected()
        };
        if raised > 0 {
            self.signal(Topic::Events);
        }
        Ok(raised)
    }

    async fn expire_job_leases(&self, now: Timestamp, attempts_max: u32, limit: u32) -> Result<Purged> {
        let done = {
            let mut writer = self.writer().await?;
            sqlx::query(EXPIRE_JOBS).bind(micros(now)).bind(attempts_max).bind(limit).execute(writer.connection()).await?
        };
        if done.rows_affected() > 0 {
            self.signal(Topic::Jobs);
        }
        Ok(purged(&done, limit))
    }

    async fn purge_finished(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        let mut all = Purged::default();
        for step in [PURGE_JOBS, PURGE_EVENTS, PURGE_ALERTS, PURGE_SILENCES, PURGE_INSTANCES] {
            let left = u64::from(limit).saturating_sub(all.rows);
            let mut writer = self.writer().await?;
            let done =
                sqlx::query(step).bind(micros(before)).bind(i64::try_from(left).unwrap_or(i64::MAX)).execute(writer.connection()).await?;
            all.rows += done.rows_affected();
        }
        all.more = all.rows >= u64::from(limit);
        Ok(all)
    }

    async fn purge_readings(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        let row = sqlx::query(OLD_READINGS).bind(micros(before)).bind(limit).fetch_one(&mut *self.reader().await?).await?;
        let fields = super::rows::Fields::new(&row, "old readings");
        let (ids, found): (String, u64) = (fields.get("ids")?, fields.number("rows")?);
        if found == 0 {
            return Ok(Purged::default());
        }
        let mut writer = self.writer().await?;
        let done = sqlx::query(PURGE_READINGS).bind(ids).execute(writer.connection()).await?;
        Ok(Purged { rows: done.rows_affected(), more: found >= u64::from(limit) })
    }
}
