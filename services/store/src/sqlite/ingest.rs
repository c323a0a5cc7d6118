//! Readings on their way in, and as history.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::credential::TokenHash;
use pulse_domain::device::Lifecycle;
use pulse_domain::evaluation::IngestProgress;
use pulse_domain::ids::{DeviceKey, ReadingId};
use pulse_domain::reading::{Metrics, NewReading, Reading, ReadingKind};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::paging::{self, List};
use super::rows::{Fields, micros, to_json};
use crate::{DeviceCredential, Error, IngestStore, Page, PageRequest, Result, Topic};

/// `[tenant, device, place in the device's part of the batch, kind, ts, received_at, site, seq, metrics, trace]`.
type ReadingArgument<'a> = (&'a str, &'a str, u32, &'static str, i64, i64, &'a str, Option<i64>, &'a Metrics, Option<&'a str>);

/// A batch's part of one device: `[tenant, device, readings, first received_at, last received_at]`.
#[derive(Debug, Serialize)]
struct DevicePart<'a>(&'a str, &'a str, u32, i64, i64);

/// A device's readings are numbered from its last one on, and never below their receipt in microseconds, which is how histories find
/// where a time begins. The batch counts as received when its first reading was.
const APPEND: &str = "
INSERT INTO readings (tenant_id, device_id, reading_id, kind, ts, received_at, site_id, seq, metrics, trace)
SELECT s.tenant_id, s.device_id, max(s.last_reading_id, ?3) + (r.value ->> 2), r.value ->> 3, r.value ->> 4, r.value ->> 5,
    r.value ->> 6, r.value ->> 7, r.value -> 8, r.value ->> 9
FROM json_each(?1) r CROSS JOIN device_state s ON s.tenant_id = r.value ->> 0 AND s.device_id = r.value ->> 1;

UPDATE device_state SET
    due_at = CASE WHEN last_reading_id > evaluated_through THEN due_at ELSE min(coalesce(due_at, d.value ->> 3), d.value ->> 3) END,
    last_seen = max(coalesce(last_seen, 0), d.value ->> 4),
    last_reading_id = max(last_reading_id, ?3) + (d.value ->> 2)
FROM json_each(?2) d
WHERE device_state.tenant_id = d.value ->> 0 AND device_state.device_id = d.value ->> 1";

#[async_trait]
impl IngestStore for SqliteStore {
    async fn device_credentials(&self, keys: &[DeviceKey]) -> Result<Vec<Option<DeviceCredential>>> {
        let pairs: Vec<[&str; 2]> = keys.iter().map(|key| [key.tenant_id.as_str(), key.device_id.as_str()]).collect();
        let found = sqlx::query(
            "SELECT k.key AS place, d.site_id, d.lifecycle, d.token_hash
            FROM json_each(?1) k CROSS JOIN devices d ON d.tenant_id = k.value ->> 0 AND d.device_id = k.value ->> 1",
        )
        .bind(to_json(&pairs)?)
        .fetch_all(&self.pool)
        .await?;
        let mut credentials = vec![None; keys.len()];
        for row in &found {
            let fields = Fields::new(row, "a device");
            if let Some(slot) = credentials.get_mut(fields.number::<usize>("place")?) {
                *slot = Some(credential(fields)?);
            }
        }
        Ok(credentials)
    }

    async fn append_readings(&self, readings: &[NewReading]) -> Result<()> {
        let Some(base) = readings.iter().map(|reading| micros(reading.received_at)).max() else { return Ok(()) };
        let (rows, parts) = arguments(readings);
        let (rows, parts) = (to_json(&rows)?, to_json(&parts)?);
        let mut transaction = self.write().await?;
        sqlx::query(APPEND).bind(rows).bind(parts).bind(base).execute(transaction.connection()).await?;
        transaction.commit().await?;
        self.signal(Topic::Readings);
        Ok(())
    }

    async fn readings(&self, key: &DeviceKey, from: Option<Timestamp>, to: Option<Timestamp>, page: &PageRequest) -> Result<Page<Reading>> {
        let after: Option<i64> = paging::after(List::Readings, page)?;
        let rows = sqlx::query(
            "SELECT reading_id, kind, ts, received_at, site_id, seq, metrics, trace FROM readings
            WHERE tenant_id = ?1 AND device_id = ?2 AND reading_id < ?3 AND reading_id >= ?4 AND received_at >= ?4 AND received_at < ?5
            ORDER BY reading_id DESC LIMIT ?6",
        )
        .bind(key.tenant_id.as_str())
        .bind(key.device_id.as_str())
        .bind(after.unwrap_or(i64::MAX))
        .bind(from.map_or(i64::MIN, micros))
        .bind(to.map_or(i64::MAX, micros))
        .bind(paging::rows_wanted(page))
        .fetch_all(&self.pool)
        .await?;
        let items = rows.iter().map(reading).collect::<Result<_>>()?;
        Ok(paging::page(List::Readings, page, items, |reading: &Reading| reading.reading_id.0))
    }

    async fn report_ingest_progress(&self, instance: &str, progress: IngestProgress, now: Timestamp) -> Result<()> {
        let _gate = self.gate().await;
        sqlx::query(
            "INSERT INTO ingest_progress (instance, up_since, durable_through, reported_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (instance) DO UPDATE SET
                up_since = excluded.up_since, durable_through = excluded.durable_through, reported_at = excluded.reported_at",
        )
        .bind(instance)
        .bind(micros(progress.up_since))
        .bind(micros(progress.durable_through))
        .bind(micros(now))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// The batch as the statements take it: every reading, and once each device.
fn arguments(readings: &[NewReading]) -> (Vec<ReadingArgument<'_>>, Vec<DevicePart<'_>>) {
    let mut parts: Vec<DevicePart<'_>> = Vec::new();
    let mut places: HashMap<&DeviceKey, usize> = HashMap::with_capacity(readings.len());
    let mut rows = Vec::with_capacity(readings.len());
    for reading in readings {
        let (tenant, device) = (reading.key.tenant_id.as_str(), reading.key.device_id.as_str());
        let received_at = micros(reading.received_at);
        let part = match places.entry(&reading.key) {
            Entry::Occupied(place) => &mut parts[*place.get()],
            Entry::Vacant(place) => {
                place.insert(parts.len());
                parts.push(DevicePart(tenant, device, 0, received_at, received_at));
                let last = parts.len() - 1;
                &mut parts[last]
            }
        };
        part.2 += 1;
        part.3 = part.3.min(received_at);
        part.4 = part.4.max(received_at);
        rows.push((
            tenant,
            device,
            part.2,
            reading.kind.as_str(),
            micros(reading.ts),
            received_at,
            reading.site_id.as_str(),
            reading.seq,
            &reading.metrics,
            reading.trace.as_ref().map(pulse_domain::trace::TraceParent::as_str),
        ));
    }
    (rows, parts)
}

fn credential(fields: Fields<'_>) -> Result<DeviceCredential> {
    let hash: &[u8] = fields.get("token_hash")?;
    let hash: [u8; 32] = hash.try_into().map_err(|error| Error::Corrupt { what: "a token's hash", source: Box::new(error) })?;
    Ok(DeviceCredential {
        site_id: fields.text("site_id")?,
        lifecycle: fields.one_of("lifecycle", &Lifecycle::ALL, Lifecycle::as_str)?,
        token: TokenHash(hash),
    })
}

fn reading(row: &SqliteRow) -> Result<Reading> {
    let fields = Fields::new(row, "a reading");
    Ok(Reading {
        reading_id: ReadingId(fields.get("reading_id")?),
        kind: fields.one_of("kind", &[ReadingKind::Telemetry, ReadingKind::Heartbeat], ReadingKind::as_str)?,
        ts: fields.time("ts")?,
        received_at: fields.time("received_at")?,
        site_id: fields.text("site_id")?,
        seq: fields.get("seq")?,
        metrics: fields.json("metrics")?,
        trace: fields.text_option("trace")?,
    })
}
