//! The statements of alert changes.

use pulse_domain::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;

use super::rows::to_json;
use crate::changes::Changes;
use crate::{CommitSummary, Result};

/// Carries changes out, with their events. `now` decides which silences still hold.
pub(super) async fn apply(changes: &Changes<'_>, connection: &mut PgConnection, now: Timestamp) -> Result<CommitSummary> {
    let mut summary = CommitSummary::default();
    for round in changes.rounds() {
        summary.closed += run(connection, CLOSE, &round.closes, None).await?;
        summary.updated += run(connection, UPDATE, &round.updates, None).await?;
        summary.opened += run(connection, OPEN, &round.opens, Some(now)).await?;
    }
    Ok(summary)
}

/// Runs a statement over a list; its rows are those that took effect.
async fn run<T: Serialize>(connection: &mut PgConnection, sql: &'static str, list: &[T], now: Option<Timestamp>) -> Result<u64> {
    if list.is_empty() {
        return Ok(0);
    }
    let mut query = sqlx::query(sql).bind(to_json(list)?);
    if let Some(now) = now {
        query = query.bind(now);
    }
    Ok(query.execute(connection).await?.rows_affected())
}

const CLOSE: &str = "
UPDATE alerts SET
    status = 'CLOSED', closed_at = from_micros(c.at), updated_at = from_micros(c.at),
    event_kind = 'CLOSED', event_id = c.event_id, event_at = from_micros(c.event_at),
    event_origin_at = from_micros(c.origin_at), event_trace = c.trace
FROM json_to_recordset($1::json) AS c (tenant_id text, alert_id uuid, at bigint, event_id uuid, event_at bigint, origin_at bigint, trace text)
WHERE alerts.tenant_id = c.tenant_id AND alerts.alert_id = c.alert_id AND alerts.status <> 'CLOSED'";

const UPDATE: &str = "
UPDATE alerts SET
    severity = least(5, u.severity + alerts.raised), summary = u.summary, details = u.details, updated_at = from_micros(u.at)
FROM json_to_recordset($1::json) AS u (tenant_id text, alert_id uuid, severity smallint, summary text, details json, at bigint)
WHERE alerts.tenant_id = u.tenant_id AND alerts.alert_id = u.alert_id AND alerts.status <> 'CLOSED'";

/// A device's life is decided under the lock of its state, which an evaluation holds. A rule is locked here against being switched off
/// or deleted before the commit, since whoever does that closes the alerts that it then sees.
const OPEN: &str = "
WITH opens AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS o (tenant_id text, alert_id uuid, fingerprint text, device_id text, site_id text,
        alert_type text, rule_id uuid, severity smallint, confidence double precision, summary text, details json, created_at bigint,
        updated_at bigint, event_id uuid, event_at bigint, origin_at bigint, trace text)
), enabled AS MATERIALIZED (
    SELECT r.tenant_id, r.rule_id FROM rules r
    WHERE r.enabled AND (r.tenant_id, r.rule_id) IN (SELECT tenant_id, rule_id FROM opens)
    ORDER BY r.tenant_id, r.rule_id FOR SHARE
)
INSERT INTO alerts (tenant_id, alert_id, fingerprint, device_id, site_id, alert_type, rule_id, severity, confidence, summary, details,
    status, created_at, updated_at, escalation_level, event_id, event_kind, event_at, event_origin_at, event_trace)
SELECT o.tenant_id, o.alert_id, o.fingerprint, o.device_id, o.site_id, o.alert_type, o.rule_id, o.severity, o.confidence, o.summary,
    o.details, 'OPEN', from_micros(o.created_at), from_micros(o.updated_at), 0, o.event_id, 'OPEN', from_micros(o.event_at),
    from_micros(o.origin_at), o.trace
FROM opens o
WHERE (o.alert_type = 'SYSTEM_HEALTH' OR EXISTS (
        SELECT FROM devices d WHERE d.tenant_id = o.tenant_id AND d.device_id = o.device_id AND d.lifecycle = 'ACTIVE'))
    AND (o.rule_id IS NULL OR EXISTS (SELECT FROM enabled e WHERE e.tenant_id = o.tenant_id AND e.rule_id = o.rule_id))
    AND NOT EXISTS (SELECT FROM silences s WHERE s.tenant_id = o.tenant_id AND s.fingerprint = o.fingerprint AND s.until > $2)
ON CONFLICT DO NOTHING";
