//! Alerts as people and health checks handle them.

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertEvent, AlertStatus, Cause, EventKind, Fingerprint};
use pulse_domain::device::DeviceStatus;
use pulse_domain::ids::{AlertId, EventId, TenantId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::SqliteStore;
use super::changes::apply;
use super::rows::{Fields, blob, micros};
use crate::changes::Changes;
use crate::paging::{self, List};
use crate::snapshot::StoredAlert;
use crate::{AlertFilter, AlertStore, CommitSummary, Page, PageRequest, Result, TenantFleet, Topic};

#[async_trait]
impl AlertStore for SqliteStore {
    async fn alert(&self, tenant_id: &TenantId, alert_id: AlertId) -> Result<Option<Alert>> {
        find(&mut *self.reader().await?, tenant_id, alert_id).await
    }

    async fn alerts(&self, tenant_id: &TenantId, filter: &AlertFilter, page: &PageRequest) -> Result<Page<Alert>> {
        let rows = list(tenant_id, filter, page)?.build().fetch_all(&mut *self.reader().await?).await?;
        let items = rows.iter().map(alert).collect::<Result<_>>()?;
        Ok(paging::page(List::Alerts, page, items, |alert: &Alert| alert.alert_id.0))
    }

    async fn alert_events(&self, tenant_id: &TenantId, alert_id: AlertId) -> Result<Vec<AlertEvent>> {
        let rows = sqlx::query(
            "SELECT event_id, kind, at, origin_at, trace, alert
            FROM alert_events WHERE tenant_id = ?1 AND alert_id = ?2 ORDER BY seq",
        )
        .bind(tenant_id.as_str())
        .bind(blob(&alert_id.0))
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.iter().map(event).collect()
    }

    async fn acknowledge_alert(
        &self,
        tenant_id: &TenantId,
        alert_id: AlertId,
        by: &str,
        now: Timestamp,
        cause: &Cause,
    ) -> Result<Option<Alert>> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "UPDATE alerts SET status = 'ACKNOWLEDGED', acknowledged_at = ?3, acknowledged_by = ?4, updated_at = ?3,
                event_id = ?5, event_kind = 'ACKNOWLEDGED', event_at = ?3, event_origin_at = ?6, event_trace = ?7
            WHERE tenant_id = ?1 AND alert_id = ?2 AND status = 'OPEN'",
        )
        .bind(tenant_id.as_str())
        .bind(blob(&alert_id.0))
        .bind(micros(now))
        .bind(by)
        .bind(blob(&EventId::generate().0))
        .bind(cause.origin_at.map(micros))
        .bind(cause.trace.as_ref().map(pulse_domain::trace::TraceParent::as_str))
        .execute(transaction.connection())
        .await?;
        let alert = find(transaction.connection(), tenant_id, alert_id).await?;
        transaction.commit().await?;
        self.signal(Topic::Events);
        Ok(alert)
    }

    async fn close_alert(&self, tenant_id: &TenantId, alert_id: AlertId, now: Timestamp, cause: &Cause) -> Result<Option<Alert>> {
        let change = [AlertChange::Close { alert_id, at: now, cause: cause.clone() }];
        let mut changes = Changes::default();
        changes.add(tenant_id, &change);
        let mut transaction = self.write().await?;
        apply(&changes, transaction.connection(), now).await?;
        let alert = find(transaction.connection(), tenant_id, alert_id).await?;
        transaction.commit().await?;
        self.signal(Topic::Events);
        Ok(alert)
    }

    async fn silence_alert(&self, tenant_id: &TenantId, alert_id: AlertId, until: Timestamp) -> Result<Option<Alert>> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO silences (tenant_id, fingerprint, device_id, until)
            SELECT tenant_id, fingerprint, device_id, ?3 FROM alerts WHERE tenant_id = ?1 AND alert_id = ?2
            ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET until = excluded.until;
            UPDATE alerts SET silenced_until = ?3
            WHERE tenant_id = ?1 AND (alert_id = ?2 OR status <> 'CLOSED'
                AND fingerprint = (SELECT fingerprint FROM alerts WHERE tenant_id = ?1 AND alert_id = ?2))",
        )
        .bind(tenant_id.as_str())
        .bind(blob(&alert_id.0))
        .bind(micros(until))
        .execute(transaction.connection())
        .await?;
        let alert = find(transaction.connection(), tenant_id, alert_id).await?;
        transaction.commit().await?;
        Ok(alert)
    }

    async fn apply_alert_changes(&self, tenant_id: &TenantId, changes: &[AlertChange], now: Timestamp) -> Result<CommitSummary> {
        let mut rounds = Changes::default();
        rounds.add(tenant_id, changes);
        let mut transaction = self.write().await?;
        let summary = apply(&rounds, transaction.connection(), now).await?;
        transaction.commit().await?;
        self.signal(Topic::Events);
        Ok(summary)
    }

    async fn open_alert(&self, tenant_id: &TenantId, fingerprint: &Fingerprint) -> Result<Option<Alert>> {
        let row = sqlx::query(
            "SELECT snapshot FROM alert_snapshots
            WHERE tenant_id = ?1 AND fingerprint = ?2 AND status <> 'CLOSED'",
        )
        .bind(tenant_id.as_str())
        .bind(fingerprint.as_str())
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        row.as_ref().map(alert).transpose()
    }

    async fn fleet(&self) -> Result<Vec<TenantFleet>> {
        let tenants = sqlx::query(
            "SELECT tenant_id, (SELECT count(*) FROM alerts a INDEXED BY alerts_open WHERE a.tenant_id = t.tenant_id AND a.status <> 'CLOSED') AS active_alerts,
                (SELECT json_group_object(status, devices) FROM (
                    SELECT s.status, count(*) AS devices
                    FROM devices d CROSS JOIN device_state s ON s.tenant_id = d.tenant_id AND s.device_id = d.device_id
                    WHERE d.tenant_id = t.tenant_id AND d.lifecycle = 'ACTIVE' GROUP BY s.status)) AS devices
            FROM tenants t ORDER BY tenant_id",
        )
        .fetch_all(&mut *self.reader().await?)
        .await?;
        tenants.iter().map(tenant_fleet).collect()
    }
}

/// The alert with this id, within a transaction or without.
pub(super) async fn find(connection: &mut SqliteConnection, tenant_id: &TenantId, alert_id: AlertId) -> Result<Option<Alert>> {
    let row = sqlx::query("SELECT snapshot FROM alert_snapshots WHERE tenant_id = ?1 AND alert_id = ?2")
        .bind(tenant_id.as_str())
        .bind(blob(&alert_id.0))
        .fetch_all(connection)
        .await?;
    row.first().map(alert).transpose()
}

fn list(tenant_id: &TenantId, filter: &AlertFilter, page: &PageRequest) -> Result<QueryBuilder<Sqlite>> {
    let mut query = QueryBuilder::new("SELECT snapshot FROM alert_snapshots WHERE tenant_id = ");
    query.push_bind(tenant_id.as_str().to_owned());
    // Also at the start of the list: without a bound, SQLite would rather walk by all alerts than use an index that is made for this.
    let before = paging::after::<Uuid>(List::Alerts, page)?.unwrap_or(Uuid::max());
    query.push(" AND alert_id < ").push_bind(before.as_bytes().to_vec());
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.as_str());
        if status != AlertStatus::Closed {
            // Lets the index of open alerts answer: the few are not looked for among the many.
            query.push(" AND status <> 'CLOSED'");
        }
    }
    if let Some(alert_type) = filter.alert_type {
        query.push(" AND alert_type = ").push_bind(alert_type.as_str());
    }
    if let Some(severity) = filter.min_severity {
        query.push(" AND severity >= ").push_bind(severity.get());
    }
    if let Some(device_id) = &filter.device_id {
        query.push(" AND device_id = ").push_bind(device_id.as_str().to_owned());
    }
    query.push(" ORDER BY alert_id DESC LIMIT ").push_bind(paging::rows_wanted(page));
    Ok(query)
}

pub(super) fn alert(row: &SqliteRow) -> Result<Alert> {
    StoredAlert::parse(Fields::new(row, "an alert").get("snapshot")?)
}

pub(super) fn event(row: &SqliteRow) -> Result<AlertEvent> {
    let fields = Fields::new(row, "an alert's event");
    Ok(AlertEvent {
        event_id: EventId(fields.id("event_id")?),
        kind: fields.one_of("kind", &EventKind::ALL, EventKind::as_str)?,
        at: fields.time("at")?,
        origin_at: fields.time_option("origin_at")?,
        trace: fields.text_option("trace")?,
        alert: StoredAlert::parse(fields.get("alert")?)?,
    })
}

fn tenant_fleet(row: &SqliteRow) -> Result<TenantFleet> {
    let fields = Fields::new(row, "a tenant's fleet");
    let counts: std::collections::HashMap<String, u64> = fields.json("devices")?;
    Ok(TenantFleet {
        tenant_id: fields.text("tenant_id")?,
        active_alerts: fields.number("active_alerts")?,
        devices_by_status: DeviceStatus::ALL.map(|status| (status, counts.get(status.as_str()).copied().unwrap_or(0))).to_vec(),
    })
}
