//! The statements of alert changes.

use pulse_domain::Timestamp;
use pulse_domain::ids::{AlertId, TenantId};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::{Fields, to_json};
use crate::changes::Changes;
use crate::{CommitSummary, Result};

/// Carries changes out, with their events. `now` decides which silences still hold.
pub(super) async fn apply(changes: &Changes<'_>, connection: &mut PgConnection, now: Timestamp) -> Result<CommitSummary> {
    lock(changes, connection).await?;
    let mut summary = CommitSummary::default();
    for round in changes.rounds() {
        summary.closed.extend(run(connection, CLOSE, &round.closes, None).await?);
        summary.updated.extend(run(connection, UPDATE, &round.updates, None).await?);
        summary.opened.extend(run(connection, OPEN, &round.opens, Some(now)).await?);
    }
    Ok(summary)
}

/// Locks what the rounds lean on, the rules and then the alerts, each in the order of their keys: so does everybody who locks several of
/// them, and nobody waits for somebody who waits for them.
async fn lock(changes: &Changes<'_>, connection: &mut PgConnection) -> Result<()> {
    let rules: Vec<_> = changes.rules_to_open().into_iter().map(|(tenant_id, rule_id)| (tenant_id, rule_id.0)).collect();
    let alerts: Vec<_> = changes.alerts_to_change().into_iter().map(|(tenant_id, alert_id)| (tenant_id, alert_id.0)).collect();
    if !rules.is_empty() {
        lock_all(connection, LOCK_RULES, &rules).await?;
    }
    // One has no order.
    if alerts.len() > 1 {
        lock_all(connection, LOCK_ALERTS, &alerts).await?;
    }
    Ok(())
}

async fn lock_all(connection: &mut PgConnection, sql: &'static str, keys: &[(&TenantId, Uuid)]) -> Result<()> {
    let tenants: Vec<&str> = keys.iter().map(|(tenant_id, _)| tenant_id.as_str()).collect();
    let ids: Vec<Uuid> = keys.iter().map(|(_, id)| *id).collect();
    sqlx::query(sql).bind(tenants).bind(ids).execute(connection).await?;
    Ok(())
}

/// Runs a statement over a list; returns the alerts on which it took effect.
async fn run<T: Serialize>(connection: &mut PgConnection, sql: &'static str, list: &[T], now: Option<Timestamp>) -> Result<Vec<AlertId>> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = sqlx::query(sql).bind(to_json(list)?);
    if let Some(now) = now {
        query = query.bind(now);
    }
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| Fields::new(row, "a changed alert").id("alert_id").map(AlertId)).collect()
}

const CLOSE: &str = "
UPDATE alerts SET
    status = 'CLOSED', closed_at = from_micros(c.at), updated_at = from_micros(c.at),
    event_kind = 'CLOSED', event_id = c.event_id, event_at = from_micros(c.event_at),
    event_origin_at = from_micros(c.origin_at), event_trace = c.trace
FROM json_to_recordset($1::json) AS c (tenant_id text, alert_id uuid, at bigint, event_id uuid, event_at bigint, origin_at bigint, trace text)
WHERE alerts.tenant_id = c.tenant_id AND alerts.alert_id = c.alert_id AND alerts.status <> 'CLOSED'
RETURNING alerts.alert_id";

const UPDATE: &str = "
UPDATE alerts SET
    severity = least(5, u.severity + alerts.raised), summary = u.summary, details = u.details, updated_at = from_micros(u.at)
FROM json_to_recordset($1::json) AS u (tenant_id text, alert_id uuid, severity smallint, summary text, details json, at bigint)
WHERE alerts.tenant_id = u.tenant_id AND alerts.alert_id = u.alert_id AND alerts.status <> 'CLOSED'
RETURNING alerts.alert_id";

/// Against being switched off or deleted before the commit, as whoever does that closes the alerts that are open by then.
const LOCK_RULES: &str = "
SELECT FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, rule_id)
JOIN rules r ON r.tenant_id = k.tenant_id AND r.rule_id = k.rule_id
ORDER BY r.tenant_id, r.rule_id FOR SHARE OF r";

const LOCK_ALERTS: &str = "
SELECT FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, alert_id)
JOIN alerts a ON a.tenant_id = k.tenant_id AND a.alert_id = k.alert_id
ORDER BY a.tenant_id, a.alert_id FOR NO KEY UPDATE OF a";

/// A device's life is decided under the lock of its state, which an evaluation holds, a rule's under its own. Whoever opens an alert waits
/// for another who opens the same, which is why they come in an order too.
const OPEN: &str = "
INSERT INTO alerts (tenant_id, alert_id, fingerprint, device_id, site_id, alert_type, rule_id, severity, confidence, summary, details,
    status, created_at, updated_at, escalation_level, event_id, event_kind, event_at, event_origin_at, event_trace)
SELECT o.tenant_id, o.alert_id, o.fingerprint, o.device_id, o.site_id, o.alert_type, o.rule_id, o.severity, o.confidence, o.summary,
    o.details, 'OPEN', from_micros(o.created_at), from_micros(o.updated_at), 0, o.event_id, 'OPEN', from_micros(o.event_at),
    from_micros(o.origin_at), o.trace
FROM json_to_recordset($1::json) AS o (tenant_id text, alert_id uuid, fingerprint text, device_id text, site_id text,
    alert_type text, rule_id uuid, severity smallint, confidence double precision, summary text, details json, created_at bigint,
    updated_at bigint, event_id uuid, event_at bigint, origin_at bigint, trace text)
WHERE (o.alert_type = 'SYSTEM_HEALTH' OR EXISTS (
        SELECT FROM devices d WHERE d.tenant_id = o.tenant_id AND d.device_id = o.device_id AND d.lifecycle = 'ACTIVE'))
    AND (o.rule_id IS NULL OR EXISTS (
        SELECT FROM rules r WHERE r.tenant_id = o.tenant_id AND r.rule_id = o.rule_id AND r.enabled))
    AND NOT EXISTS (SELECT FROM silences s WHERE s.tenant_id = o.tenant_id AND s.fingerprint = o.fingerprint AND s.until > $2)
ORDER BY o.tenant_id, o.fingerprint
ON CONFLICT DO NOTHING
RETURNING alert_id";
