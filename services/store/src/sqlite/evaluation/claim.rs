//! Claiming due devices with what judging them takes: one statement that claims, one that loads, one for the rules' versions.

use std::collections::BTreeSet;

use pulse_domain::Timestamp;
use pulse_domain::alert::Fingerprint;
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{DueDevice, OpenAlert, Silence};
use pulse_domain::ids::{AlertId, DeviceKey, LeaseId, ReadingId, RuleId, SiteId, TenantId};
use pulse_domain::reading::{Metrics, Reading, ReadingKind};
use pulse_domain::trace::TraceParent;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;

use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, blob, micros, micros_after, to_json};
use crate::{Claim, DueBatch, Error, Result, RulesVersion};

/// At most so many readings of a device lie between two milestones, but for what one batch brings: the schema's trigger sets them.
const READINGS_PER_MILESTONE: u32 = 64;

/// The head of the due index that nobody holds.
pub(in crate::sqlite) const CLAIM: &str = "
UPDATE device_state SET lease_id = ?1, lease_until = ?2
WHERE (tenant_id, device_id) IN (
    SELECT tenant_id, device_id FROM device_state
    WHERE due_at <= ?3 AND (lease_until IS NULL OR lease_until <= ?3)
    ORDER BY due_at LIMIT ?4)";

/// What was claimed is found again in the due index: only a commit moves a device to a later time, and it ends the lease.
///
/// Readings come as one text for each device, the newest first, as the chain is walked back: from its end, or from a milestone where it is
/// so long that more than a claim takes would be passed by.
pub(in crate::sqlite) const LOAD: &str = "
SELECT s.tenant_id, s.device_id, s.status, s.last_seen, s.memory, s.last_reading_id, d.site_id, d.device_type, d.group_ids, d.lifecycle,
    CASE WHEN s.last_reading_id > s.evaluated_through THEN (
        WITH RECURSIVE chain (reading_id, previous_id, packed) AS (
            SELECT r.reading_id, r.previous_id, r.packed FROM packed_readings r
            WHERE r.reading_id = coalesce((
                SELECT m.reading_id FROM milestones m
                WHERE m.tenant_id = s.tenant_id AND m.device_id = s.device_id AND m.reading_id > s.evaluated_through
                ORDER BY m.reading_id LIMIT 1 OFFSET ?4), s.last_reading_id)
            UNION ALL
            SELECT r.reading_id, r.previous_id, r.packed
            FROM chain c CROSS JOIN packed_readings r ON r.reading_id = c.previous_id
            WHERE c.previous_id > s.evaluated_through
        )
        SELECT '[' || group_concat(packed) || ']' FROM chain) END AS readings,
    (SELECT json_group_array(json_array(hex(a.alert_id), a.fingerprint, CASE WHEN a.rule_id IS NOT NULL THEN hex(a.rule_id) END))
        FROM alerts a INDEXED BY alerts_open_device WHERE a.tenant_id = s.tenant_id AND a.device_id = s.device_id AND a.status <> 'CLOSED') AS open_alerts,
    (SELECT json_group_array(json_array(q.fingerprint, q.until))
        FROM silences q INDEXED BY silences_device WHERE q.tenant_id = s.tenant_id AND q.device_id = s.device_id AND q.until > ?1) AS silences
FROM device_state s CROSS JOIN devices d ON d.tenant_id = s.tenant_id AND d.device_id = s.device_id
WHERE s.due_at <= ?1 AND s.lease_id = ?2 AND s.lease_until > ?1
ORDER BY s.due_at LIMIT ?3";

pub(super) async fn claim(store: &SqliteStore, claim: Claim, readings_max: u32) -> Result<DueBatch> {
    let lease = crate::new_lease();
    let claimed = {
        let mut writer = store.writer().await?;
        sqlx::query(CLAIM)
            .bind(blob(&lease.0))
            .bind(micros_after(claim.now, claim.lease))
            .bind(micros(claim.now))
            .bind(claim.limit)
            .execute(writer.connection())
            .await?
            .rows_affected()
    };
    if claimed == 0 {
        return Ok(DueBatch { lease, devices: Vec::new(), rules: Vec::new() });
    }
    let devices = load(store, claim, lease, readings_max).await?;
    let tenants: BTreeSet<&TenantId> = devices.iter().map(|device| &device.key.tenant_id).collect();
    let rules = versions(store, &tenants).await?;
    Ok(DueBatch { lease, devices, rules })
}

async fn load(store: &SqliteStore, claim: Claim, lease: LeaseId, readings_max: u32) -> Result<Vec<DueDevice>> {
    let rows = sqlx::query(LOAD)
        .bind(micros(claim.now))
        .bind(blob(&lease.0))
        .bind(claim.limit)
        .bind(readings_max.div_ceil(READINGS_PER_MILESTONE))
        .fetch_all(&mut *store.reader().await?)
        .await?;
    let readings_max = usize::try_from(readings_max).unwrap_or(usize::MAX);
    rows.iter().map(|row| due_device(row, readings_max)).collect()
}

async fn versions(store: &SqliteStore, tenants: &BTreeSet<&TenantId>) -> Result<Vec<RulesVersion>> {
    let rows = sqlx::query(
        "SELECT t.tenant_id, t.rules_version FROM json_each(?1) j CROSS JOIN tenants t ON t.tenant_id = j.value ORDER BY t.tenant_id",
    )
    .bind(to_json(tenants)?)
    .fetch_all(&mut *store.reader().await?)
    .await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new(row, "a tenant");
            Ok(RulesVersion { tenant_id: fields.text("tenant_id")?, version: fields.get("rules_version")? })
        })
        .collect()
}

/// A reading as [`LOAD`] packs it.
#[derive(Deserialize)]
struct Packed(i64, ReadingKind, i64, i64, SiteId, Option<i64>, Metrics, Option<TraceParent>);

fn reading(Packed(id, kind, ts, received_at, site_id, seq, metrics, trace): Packed) -> Result<Reading> {
    let (ts, received_at) = (time(ts)?, time(received_at)?);
    Ok(Reading { reading_id: ReadingId(id), kind, ts, received_at, site_id, seq, metrics, trace })
}

fn due_device(row: &SqliteRow, readings_max: usize) -> Result<DueDevice> {
    let fields = Fields::new(row, "a device");
    let mut readings = match fields.get::<Option<&str>>("readings")? {
        Some(_) => unpack(fields, "readings", reading)?,
        None => Vec::new(),
    };
    readings.reverse();
    readings.truncate(readings_max);
    let last_reading_id: i64 = fields.get("last_reading_id")?;
    Ok(DueDevice {
        key: DeviceKey { tenant_id: fields.text("tenant_id")?, device_id: fields.text("device_id")? },
        site_id: fields.text("site_id")?,
        device_type: fields.get("device_type")?,
        group_ids: fields.json("group_ids")?,
        lifecycle: fields.one_of("lifecycle", &Lifecycle::ALL, Lifecycle::as_str)?,
        status: fields.one_of("status", &DeviceStatus::ALL, DeviceStatus::as_str)?,
        last_seen: fields.time_option("last_seen")?,
        memory: fields.json("memory")?,
        has_more: readings.last().is_some_and(|last| last.reading_id.0 < last_reading_id),
        readings,
        open_alerts: unpack(fields, "open_alerts", |(alert_id, fingerprint, rule_id): (AlertId, Fingerprint, Option<RuleId>)| {
            Ok(OpenAlert { alert_id, fingerprint, rule_id })
        })?,
        silences: unpack(fields, "silences", |(fingerprint, until): (Fingerprint, i64)| Ok(Silence { fingerprint, until: time(until)? }))?,
    })
}

fn unpack<P: DeserializeOwned, T>(fields: Fields<'_>, column: &'static str, make: impl Fn(P) -> Result<T>) -> Result<Vec<T>> {
    fields.json::<Vec<P>>(column)?.into_iter().map(make).collect()
}

fn time(micros: i64) -> Result<Timestamp> {
    Timestamp::from_timestamp_micros(micros)
        .ok_or_else(|| Error::Corrupt { what: "a time", source: format!("{micros} microseconds is out of range").into() })
}
