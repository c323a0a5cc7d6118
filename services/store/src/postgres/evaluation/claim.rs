//! Claiming due devices with what judging them takes: a statement that claims, and one for each kind of thing to load.

use std::collections::BTreeSet;

use pulse_domain::alert::Fingerprint;
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{DueDevice, OpenAlert, Silence};
use pulse_domain::ids::{AlertId, DeviceKey, LeaseId, RuleId};
use pulse_domain::reading::Reading;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::postgres::PostgresStore;
use crate::postgres::ingest::reading;
use crate::postgres::rows::{Fields, after};
use crate::postgres::transaction::Scope;
use crate::{Claim, DueBatch, Result, RulesVersion};

/// The head of the due index that nobody holds; others' claims and ingest's open transactions are passed by.
const CLAIM: &str = "
WITH claimed AS (
    UPDATE device_state SET lease_id = $1, lease_until = $2
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM device_state
        WHERE due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
        ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED))
    RETURNING *)
SELECT c.tenant_id, c.device_id, c.status, c.last_seen, c.memory, c.reading_count, c.evaluated_through, c.due_at,
    d.site_id, d.device_type, d.group_ids, d.lifecycle
FROM claimed c JOIN devices d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id";

/// A device is never due later than the receipt of a reading that is not yet evaluated: earlier days are not looked at.
const READINGS: &str = "
SELECT c.place, r.*
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::bigint[]) AS c (tenant_id, device_id, through, since, place)
CROSS JOIN LATERAL (
    SELECT reading_id, kind, ts, received_at, site_id, seq, metrics, trace FROM readings
    WHERE tenant_id = c.tenant_id AND device_id = c.device_id AND reading_id > c.through AND received_at >= c.since
    ORDER BY reading_id LIMIT $6) r";

const OPEN_ALERTS: &str = "
SELECT c.place, a.alert_id, a.fingerprint, a.rule_id
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS c (tenant_id, device_id, place)
JOIN alerts a ON a.tenant_id = c.tenant_id AND a.device_id = c.device_id AND a.status <> 'CLOSED'";

const SILENCES: &str = "
SELECT c.place, s.fingerprint, s.until
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS c (tenant_id, device_id, place)
JOIN silences s ON s.tenant_id = c.tenant_id AND s.device_id = c.device_id AND s.until > $3";

/// A claimed device, and what its readings are found by.
struct Claimed {
    device: DueDevice,
    reading_count: i64,
    evaluated_through: i64,
    due_at: pulse_domain::Timestamp,
}

pub(super) async fn claim(store: &PostgresStore, claim: Claim, readings_max: u32) -> Result<DueBatch> {
    let lease = crate::new_lease();
    let mut transaction = store.begin(Scope::AllTenants).await?;
    let mut claimed = take(transaction.connection(), lease, claim).await?;
    if claimed.is_empty() {
        transaction.commit().await?;
        return Ok(DueBatch { lease, devices: Vec::new(), rules: Vec::new() });
    }
    load_readings(transaction.connection(), &mut claimed, readings_max).await?;
    load_alerts(transaction.connection(), &mut claimed, claim).await?;
    let devices: Vec<DueDevice> = claimed.into_iter().map(|claimed| claimed.device).collect();
    let rules = versions(transaction.connection(), &devices).await?;
    transaction.commit().await?;
    Ok(DueBatch { lease, devices, rules })
}

async fn take(connection: &mut PgConnection, lease: LeaseId, claim: Claim) -> Result<Vec<Claimed>> {
    let rows = sqlx::query(CLAIM)
        .bind(lease.0)
        .bind(after(claim.now, claim.lease))
        .bind(claim.now)
        .bind(i64::from(claim.limit))
        .fetch_all(connection)
        .await?;
    let mut claimed = rows.iter().map(claimed).collect::<Result<Vec<Claimed>>>()?;
    claimed.sort_by_key(|claimed| claimed.due_at);
    Ok(claimed)
}

fn claimed(row: &PgRow) -> Result<Claimed> {
    let fields = Fields::new(row, "a device");
    let device = DueDevice {
        key: DeviceKey { tenant_id: fields.text("tenant_id")?, device_id: fields.text("device_id")? },
        site_id: fields.text("site_id")?,
        device_type: fields.get("device_type")?,
        group_ids: fields.json("group_ids")?,
        lifecycle: fields.one_of("lifecycle", &Lifecycle::ALL, Lifecycle::as_str)?,
        status: fields.one_of("status", &DeviceStatus::ALL, DeviceStatus::as_str)?,
        last_seen: fields.time_option("last_seen")?,
        memory: fields.json("memory")?,
        readings: Vec::new(),
        has_more: false,
        open_alerts: Vec::new(),
        silences: Vec::new(),
    };
    Ok(Claimed {
        device,
        reading_count: fields.get("reading_count")?,
        evaluated_through: fields.get("evaluated_through")?,
        due_at: fields.time("due_at")?,
    })
}

async fn load_readings(connection: &mut PgConnection, claimed: &mut [Claimed], readings_max: u32) -> Result<()> {
    let unread: Vec<(i64, &Claimed)> =
        (0..).zip(claimed.iter()).filter(|(_, claimed)| claimed.reading_count > claimed.evaluated_through).collect();
    if unread.is_empty() {
        return Ok(());
    }
    let of = || unread.iter().map(|(_, claimed)| *claimed);
    let rows = sqlx::query(READINGS)
        .bind(of().map(|claimed| claimed.device.key.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(of().map(|claimed| claimed.device.key.device_id.as_str()).collect::<Vec<_>>())
        .bind(of().map(|claimed| claimed.evaluated_through).collect::<Vec<_>>())
        .bind(of().map(|claimed| claimed.due_at).collect::<Vec<_>>())
        .bind(unread.iter().map(|(place, _)| *place).collect::<Vec<_>>())
        .bind(i64::from(readings_max))
        .fetch_all(connection)
        .await?;
    for row in &rows {
        let (place, reading): (usize, Reading) = (Fields::new(row, "a reading").number("place")?, reading(row)?);
        if let Some(claimed) = claimed.get_mut(place) {
            claimed.device.readings.push(reading);
        }
    }
    for claimed in claimed {
        // As they come, as a rule; having the server sort what is in order already costs more than it takes to read it.
        claimed.device.readings.sort_by_key(|reading| reading.reading_id);
        // The claim saw the count as it was; what has come in since is seen here and belongs to a later claim all the same.
        claimed.device.has_more = claimed.device.readings.last().is_some_and(|last| last.reading_id.0 < claimed.reading_count);
    }
    Ok(())
}

async fn load_alerts(connection: &mut PgConnection, claimed: &mut [Claimed], claim: Claim) -> Result<()> {
    let tenants: Vec<&str> = claimed.iter().map(|claimed| claimed.device.key.tenant_id.as_str()).collect();
    let devices: Vec<&str> = claimed.iter().map(|claimed| claimed.device.key.device_id.as_str()).collect();
    let alerts = sqlx::query(OPEN_ALERTS).bind(&tenants).bind(&devices).fetch_all(&mut *connection).await?;
    let silences = sqlx::query(SILENCES).bind(&tenants).bind(&devices).bind(claim.now).fetch_all(connection).await?;
    for row in &alerts {
        let fields = Fields::new(row, "an open alert");
        if let Some(device) = device_at(claimed, fields)? {
            device.open_alerts.push(OpenAlert {
                alert_id: AlertId(fields.id("alert_id")?),
                fingerprint: Fingerprint::from_stored(fields.get("fingerprint")?),
                rule_id: fields.get::<Option<uuid::Uuid>>("rule_id")?.map(RuleId),
            });
        }
    }
    for row in &silences {
        let fields = Fields::new(row, "a silence");
        if let Some(device) = device_at(claimed, fields)? {
            let fingerprint = Fingerprint::from_stored(fields.get("fingerprint")?);
            device.silences.push(Silence { fingerprint, until: fields.time("until")? });
        }
    }
    Ok(())
}

/// The device at a row's place, which PostgreSQL counts from 1.
fn device_at<'a>(claimed: &'a mut [Claimed], fields: Fields<'_>) -> Result<Option<&'a mut DueDevice>> {
    let place: usize = fields.number("place")?;
    Ok(place.checked_sub(1).and_then(|place| claimed.get_mut(place)).map(|claimed| &mut claimed.device))
}

async fn versions(connection: &mut PgConnection, devices: &[DueDevice]) -> Result<Vec<RulesVersion>> {
    let tenants: BTreeSet<&str> = devices.iter().map(|device| device.key.tenant_id.as_str()).collect();
    let rows = sqlx::query("SELECT tenant_id, rules_version FROM tenants WHERE tenant_id = ANY($1) ORDER BY tenant_id")
        .bind(tenants.into_iter().collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new(row, "a tenant");
            Ok(RulesVersion { tenant_id: fields.text("tenant_id")?, version: fields.get("rules_version")? })
        })
        .collect()
}
