//! Devices.

use pulse_domain::Timestamp;
use pulse_domain::alert::{AlertChange, Cause};
use pulse_domain::credential::TokenHash;
use pulse_domain::device::{Device, DeviceStatus, Lifecycle};
use pulse_domain::ids::{AlertId, DeviceKey, TenantId};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, SqliteConnection};

use crate::changes::Changes;
use crate::paging::{self, List};
use crate::sqlite::SqliteStore;
use crate::sqlite::changes::apply;
use crate::sqlite::rows::{Fields, micros, to_json};
use crate::{DeviceFilter, DeviceSpec, Error, Page, PageRequest, Result, Topic};

/// `[device, site, type, groups, lifecycle, token hash]`.
#[derive(Serialize)]
struct DeviceArgument<'a>(&'a str, &'a str, &'a str, &'a [pulse_domain::ids::GroupId], &'static str, String);

/// A device has a state from the start, so that its first reading has a row to update.
const INSERT: &str = "
INSERT INTO devices (tenant_id, device_id, site_id, device_type, group_ids, lifecycle, token_hash, created_at)
SELECT ?1, d.value ->> 0, d.value ->> 1, d.value ->> 2, d.value -> 3, d.value ->> 4, unhex(d.value ->> 5), ?3 FROM jsonb_each(?2) d;
INSERT INTO device_state (tenant_id, device_id) SELECT ?1, value ->> 0 FROM jsonb_each(?2)";

const SELECT: &str =
    "SELECT d.tenant_id, d.device_id, d.site_id, d.device_type, d.group_ids, d.lifecycle, d.created_at, s.status, s.last_seen
    FROM devices d
    CROSS JOIN device_state s ON s.tenant_id = d.tenant_id AND s.device_id = d.device_id WHERE d.tenant_id = ";

pub(super) async fn insert(store: &SqliteStore, tenant_id: &TenantId, devices: &[(DeviceSpec, TokenHash)], now: Timestamp) -> Result<()> {
    let arguments: Vec<DeviceArgument<'_>> = devices
        .iter()
        .map(|(spec, token)| {
            let DeviceSpec { device_id, site_id, device_type, group_ids, lifecycle } = spec;
            DeviceArgument(device_id.as_str(), site_id.as_str(), device_type, group_ids, lifecycle.as_str(), hex::encode(token.0))
        })
        .collect();
    let arguments = to_json(&arguments)?;
    let mut transaction = store.write().await?;
    sqlx::query(INSERT)
        .bind(tenant_id.as_str())
        .bind(arguments)
        .bind(micros(now))
        .execute(transaction.connection())
        .await
        .map_err(|error| Error::from(error).naming("the device", "the tenant"))?;
    transaction.commit().await
}

pub(super) async fn find(store: &SqliteStore, key: &DeviceKey) -> Result<Option<Device>> {
    let mut query = QueryBuilder::new(SELECT);
    query.push_bind(key.tenant_id.as_str()).push(" AND d.device_id = ").push_bind(key.device_id.as_str());
    let row = query.build().fetch_optional(&mut *store.reader().await?).await?;
    row.as_ref().map(device).transpose()
}

pub(super) async fn page(store: &SqliteStore, tenant_id: &TenantId, filter: &DeviceFilter, page: &PageRequest) -> Result<Page<Device>> {
    let mut query = QueryBuilder::new(SELECT);
    query.push_bind(tenant_id.as_str());
    query.push(" AND d.device_id > ").push_bind(paging::after::<String>(List::Devices, page)?.unwrap_or_default());
    if let Some(site_id) = &filter.site_id {
        query.push(" AND d.site_id = ").push_bind(site_id.as_str());
    }
    if let Some(status) = filter.status {
        query.push(" AND s.status = ").push_bind(status.as_str());
    }
    if let Some(lifecycle) = filter.lifecycle {
        query.push(" AND d.lifecycle = ").push_bind(lifecycle.as_str());
    }
    query.push(" ORDER BY d.device_id LIMIT ").push_bind(paging::rows_wanted(page));
    let rows = query.build().fetch_all(&mut *store.reader().await?).await?;
    let items = rows.iter().map(device).collect::<Result<_>>()?;
    Ok(paging::page(List::Devices, page, items, |device: &Device| device.device_id.as_str().to_owned()))
}

/// The device is due at once: its place, groups or life decide which rules judge it and whether its silence matters.
const UPDATE: &str = "
UPDATE devices SET site_id = ?3, device_type = ?4, group_ids = ?5, lifecycle = ?6 WHERE tenant_id = ?1 AND device_id = ?2";
const MAKE_DUE: &str = "
UPDATE device_state SET due_at = min(coalesce(due_at, ?3), ?3) WHERE tenant_id = ?1 AND device_id = ?2";

pub(super) async fn update(store: &SqliteStore, tenant_id: &TenantId, device: &DeviceSpec, now: Timestamp, cause: &Cause) -> Result<bool> {
    let mut transaction = store.write().await?;
    let done = sqlx::query(UPDATE)
        .bind(tenant_id.as_str())
        .bind(device.device_id.as_str())
        .bind(device.site_id.as_str())
        .bind(&device.device_type)
        .bind(to_json(&device.group_ids)?)
        .bind(device.lifecycle.as_str())
        .execute(transaction.connection())
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(MAKE_DUE)
        .bind(tenant_id.as_str())
        .bind(device.device_id.as_str())
        .bind(micros(now))
        .execute(transaction.connection())
        .await?;
    if !device.lifecycle.is_judged() {
        let open = sqlx::query(
            "SELECT alert_id FROM alerts INDEXED BY alerts_open_device WHERE tenant_id = ?1 AND device_id = ?2 AND status <> 'CLOSED'",
        )
        .bind(tenant_id.as_str())
        .bind(device.device_id.as_str())
        .fetch_all(transaction.connection())
        .await?;
        close_all(transaction.connection(), tenant_id, &open, now, cause).await?;
    }
    transaction.commit().await?;
    store.signal(Topic::Readings);
    store.signal(Topic::Events);
    Ok(true)
}

/// Closes the alerts of these rows, with their events.
pub(super) async fn close_all(
    connection: &mut SqliteConnection,
    tenant_id: &TenantId,
    open: &[SqliteRow],
    now: Timestamp,
    cause: &Cause,
) -> Result<()> {
    let closes = open
        .iter()
        .map(|row| {
            let alert_id = AlertId(Fields::new(row, "an alert").id("alert_id")?);
            Ok(AlertChange::Close { alert_id, at: now, cause: cause.clone() })
        })
        .collect::<Result<Vec<AlertChange>>>()?;
    let mut changes = Changes::default();
    changes.add(tenant_id, &closes);
    apply(&changes, connection, now).await?;
    Ok(())
}

pub(super) async fn set_token(store: &SqliteStore, key: &DeviceKey, token: &TokenHash) -> Result<bool> {
    let mut writer = store.writer().await?;
    let done = sqlx::query("UPDATE devices SET token_hash = ?3 WHERE tenant_id = ?1 AND device_id = ?2")
        .bind(key.tenant_id.as_str())
        .bind(key.device_id.as_str())
        .bind(&token.0[..])
        .execute(writer.connection())
        .await?;
    Ok(done.rows_affected() > 0)
}

fn device(row: &SqliteRow) -> Result<Device> {
    let fields = Fields::new(row, "a device");
    Ok(Device {
        tenant_id: fields.text("tenant_id")?,
        device_id: fields.text("device_id")?,
        site_id: fields.text("site_id")?,
        device_type: fields.get("device_type")?,
        group_ids: fields.json("group_ids")?,
        lifecycle: fields.one_of("lifecycle", &Lifecycle::ALL, Lifecycle::as_str)?,
        created_at: fields.time("created_at")?,
        status: fields.one_of("status", &DeviceStatus::ALL, DeviceStatus::as_str)?,
        last_seen: fields.time_option("last_seen")?,
    })
}
