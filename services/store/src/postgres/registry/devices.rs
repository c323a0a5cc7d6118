//! Devices.

use pulse_domain::Timestamp;
use pulse_domain::alert::{AlertChange, Cause};
use pulse_domain::credential::TokenHash;
use pulse_domain::device::{Device, DeviceStatus, Lifecycle};
use pulse_domain::ids::{AlertId, DeviceKey, TenantId};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder};

use crate::changes::Changes;
use crate::paging::{self, List};
use crate::postgres::PostgresStore;
use crate::postgres::changes::apply;
use crate::postgres::rows::{Fields, to_json};
use crate::{DeviceFilter, DeviceSpec, Page, PageRequest, Result, Topic};

/// A device has a state from the start, so that its first reading has a row to update. In order, as two who register the same devices wait
/// for each other's.
const INSERT: &str = "
WITH made AS (
    INSERT INTO devices (tenant_id, device_id, site_id, device_type, group_ids, lifecycle, token_hash, created_at)
    SELECT $1, d.device_id, d.site_id, d.device_type, d.group_ids::json, d.lifecycle, d.token_hash, $8
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
        AS d (device_id, site_id, device_type, group_ids, lifecycle, token_hash)
    ORDER BY d.device_id
    RETURNING tenant_id, device_id)
INSERT INTO device_state (tenant_id, device_id) SELECT tenant_id, device_id FROM made";

const SELECT: &str =
    "SELECT d.tenant_id, d.device_id, d.site_id, d.device_type, d.group_ids, d.lifecycle, d.created_at, s.status, s.last_seen
    FROM devices d
    JOIN device_state s ON s.tenant_id = d.tenant_id AND s.device_id = d.device_id WHERE d.tenant_id = ";

pub(super) async fn insert(store: &PostgresStore, tenant_id: &TenantId, devices: &[(DeviceSpec, TokenHash)], now: Timestamp) -> Result<()> {
    let specs = || devices.iter().map(|(spec, _)| spec);
    let query = sqlx::query(INSERT)
        .bind(tenant_id.as_str())
        .bind(specs().map(|spec| spec.device_id.as_str()).collect::<Vec<_>>())
        .bind(specs().map(|spec| spec.site_id.as_str()).collect::<Vec<_>>())
        .bind(specs().map(|spec| spec.device_type.as_str()).collect::<Vec<_>>())
        .bind(specs().map(|spec| to_json(&spec.group_ids)).collect::<Result<Vec<_>>>()?)
        .bind(specs().map(|spec| spec.lifecycle.as_str()).collect::<Vec<_>>())
        .bind(devices.iter().map(|(_, token)| &token.0[..]).collect::<Vec<_>>())
        .bind(now);
    store.execute(tenant_id, query).await.map_err(|error| error.naming("the device", "the tenant"))?;
    Ok(())
}

pub(super) async fn find(store: &PostgresStore, key: &DeviceKey) -> Result<Option<Device>> {
    let mut query = QueryBuilder::new(SELECT);
    query.push_bind(key.tenant_id.as_str()).push(" AND d.device_id = ").push_bind(key.device_id.as_str());
    let row = store.row(&key.tenant_id, query.build()).await?;
    row.as_ref().map(device).transpose()
}

pub(super) async fn page(store: &PostgresStore, tenant_id: &TenantId, filter: &DeviceFilter, page: &PageRequest) -> Result<Page<Device>> {
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
    let rows = store.rows(tenant_id, query.build()).await?;
    let items = rows.iter().map(device).collect::<Result<_>>()?;
    Ok(paging::page(List::Devices, page, items, |device: &Device| device.device_id.as_str().to_owned()))
}

/// The device is due at once: its place, groups or life decide which rules judge it and whether its silence matters. This comes first, as
/// it locks the device against an evaluation, whose alerts are there or not allowed afterwards.
const MAKE_DUE: &str = "
UPDATE device_state SET due_at = least(due_at, $3) WHERE tenant_id = $1 AND device_id = $2";
const UPDATE: &str = "
UPDATE devices SET site_id = $3, device_type = $4, group_ids = $5::json, lifecycle = $6 WHERE tenant_id = $1 AND device_id = $2";

pub(super) async fn update(
    store: &PostgresStore,
    tenant_id: &TenantId,
    device: &DeviceSpec,
    now: Timestamp,
    cause: &Cause,
) -> Result<bool> {
    let mut transaction = store.begin(tenant_id).await?;
    let found = sqlx::query(MAKE_DUE)
        .bind(tenant_id.as_str())
        .bind(device.device_id.as_str())
        .bind(now)
        .execute(transaction.connection())
        .await?
        .rows_affected();
    if found == 0 {
        return Ok(false);
    }
    sqlx::query(UPDATE)
        .bind(tenant_id.as_str())
        .bind(device.device_id.as_str())
        .bind(device.site_id.as_str())
        .bind(&device.device_type)
        .bind(to_json(&device.group_ids)?)
        .bind(device.lifecycle.as_str())
        .execute(transaction.connection())
        .await?;
    if !device.lifecycle.is_judged() {
        let open = sqlx::query("SELECT alert_id FROM alerts WHERE tenant_id = $1 AND device_id = $2 AND status <> 'CLOSED'")
            .bind(tenant_id.as_str())
            .bind(device.device_id.as_str())
            .fetch_all(transaction.connection())
            .await?;
        close_all(transaction.connection(), tenant_id, &open, now, cause).await?;
    }
    transaction.commit().await?;
    store.hints.signal(Topic::Readings);
    store.hints.signal(Topic::Events);
    Ok(true)
}

/// Closes the alerts of these rows, with their events.
pub(super) async fn close_all(
    connection: &mut PgConnection,
    tenant_id: &TenantId,
    open: &[PgRow],
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

pub(super) async fn set_token(store: &PostgresStore, key: &DeviceKey, token: &TokenHash) -> Result<bool> {
    let query = sqlx::query("UPDATE devices SET token_hash = $3 WHERE tenant_id = $1 AND device_id = $2")
        .bind(key.tenant_id.as_str())
        .bind(key.device_id.as_str())
        .bind(&token.0[..]);
    Ok(store.execute(&key.tenant_id, query).await? > 0)
}

fn device(row: &PgRow) -> Result<Device> {
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
