//! The statements of alert changes.

use pulse_domain::Timestamp;
use pulse_domain::ids::AlertId;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::rows::{Fields, micros, to_json};
use crate::changes::Changes;
use crate::{CommitSummary, Result};

/// Carries changes out, with their events. `now` decides which silences still hold.
pub(super) async fn apply(changes: &Changes<'_>, connection: &mut SqliteConnection, now: Timestamp) -> Result<CommitSummary> {
    let mut summary = CommitSummary::default();
    for round in changes.rounds() {
        summary.closed.extend(run(connection, CLOSE, &round.closes, now).await?);
        summary.updated.extend(run(connection, UPDATE, &round.updates, now).await?);
        summary.opened.extend(run(connection, OPEN, &round.opens, now).await?);
    }
    Ok(summary)
}

/// Runs a statement over a list; returns the alerts on which it took effect.
async fn run<T: Serialize>(connection: &mut SqliteConnection, sql: &'static str, list: &[T], now: Timestamp) -> Result<Vec<AlertId>> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql).bind(to_json(list)?).bind(micros(now)).fetch_all(connection).await?;
    rows.iter().map(|row| Fields::new(row, "a changed alert").id("alert_id").map(AlertId)).collect()
}

pub(super) const CLOSE: &str = "
UPDATE alerts SET
    status = 'CLOSED', closed_at = c.value ->> 'at', updated_at = c.value ->> 'at',
    event_kind = 'CLOSED', event_id = unhex(c.value ->> 'event_id', '-'), event_at = c.value ->> 'event_at',
    event_origin_at = c.value ->> 'origin_at', event_trace = c.value ->> 'trace'
FROM jsonb_each(?1) c
WHERE alerts.tenant_id = c.value ->> 'tenant_id' AND alerts.alert_id = unhex(c.value ->> 'alert_id', '-') AND alerts.status <> 'CLOSED'
RETURNING alert_id";

pub(super) const UPDATE: &str = "
UPDATE alerts SET
    severity = min(5, (u.value ->> 'severity') + alerts.raised), summary = u.value ->> 'summary', details = u.value -> 'details',
    updated_at = u.value ->> 'at'
FROM jsonb_each(?1) u
WHERE alerts.tenant_id = u.value ->> 'tenant_id' AND alerts.alert_id = unhex(u.value ->> 'alert_id', '-') AND alerts.status <> 'CLOSED'
RETURNING alert_id";

pub(super) const OPEN: &str = "
INSERT INTO alerts (tenant_id, alert_id, fingerprint, device_id, site_id, alert_type, rule_id, severity, confidence, summary, details,
    status, created_at, updated_at, escalation_level, event_id, event_kind, event_at, event_origin_at, event_trace)
SELECT o.value ->> 'tenant_id', unhex(o.value ->> 'alert_id', '-'), o.value ->> 'fingerprint', o.value ->> 'device_id',
    o.value ->> 'site_id', o.value ->> 'alert_type', unhex(o.value ->> 'rule_id', '-'), o.value ->> 'severity',
    o.value -> 'confidence', o.value ->> 'summary', o.value -> 'details', 'OPEN', o.value ->> 'created_at',
    o.value ->> 'updated_at', 0, unhex(o.value ->> 'event_id', '-'), 'OPEN', o.value ->> 'event_at', o.value ->> 'origin_at',
    o.value ->> 'trace'
FROM jsonb_each(?1) o
WHERE (o.value ->> 'alert_type' = 'SYSTEM_HEALTH' OR EXISTS (
        SELECT 1 FROM devices d
        WHERE d.tenant_id = o.value ->> 'tenant_id' AND d.device_id = o.value ->> 'device_id' AND d.lifecycle = 'ACTIVE'))
    AND (o.value ->> 'rule_id' IS NULL OR EXISTS (
        SELECT 1 FROM rules r
        WHERE r.tenant_id = o.value ->> 'tenant_id' AND r.rule_id = unhex(o.value ->> 'rule_id', '-') AND r.enabled))
    AND NOT EXISTS (
        SELECT 1 FROM silences s
        WHERE s.tenant_id = o.value ->> 'tenant_id' AND s.fingerprint = o.value ->> 'fingerprint' AND s.until > ?2)
ON CONFLICT DO NOTHING
RETURNING alert_id";
