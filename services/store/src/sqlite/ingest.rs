//! Readings on their way in, and as history.
//!
//! Readings are a log with chains: rows are appended in the order of their commits, and each names its device's previous one; about every 64th
//! is a milestone to step into a long chain. Rows clustered by device, or an index by device, would dirty a page per reading: with 1,000 devices that
//! took 14,000 readings a second in batches of 100 through the API, where the log takes 62,000 on the same machine.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::credential::TokenHash;
use pulse_domain::device::Lifecycle;
use pulse_domain::evaluation::IngestProgress;
use pulse_domain::ids::{DeviceKey, ReadingId};
use pulse_domain::reading::{Metrics, NewReading, Reading, ReadingKind};
use pulse_domain::trace::TraceParent;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::rows::{Fields, micros, to_json};
use crate::paging::{self, List};
use crate::{DeviceCredential, Error, IngestStore, Page, PageRequest, Result, Topic};

/// `[tenant, device, mark, place of the device's previous reading in the batch, its mark, kind, ts, received_at, site, seq, metrics, trace]`.
#[rustfmt::skip]
type ReadingArgument<'a> =
    (&'a str, &'a str, i64, Option<usize>, Option<i64>, &'static str, i64, i64, &'a str, Option<i64>, &'a Metrics, Option<&'a str>);

/// A batch's part of one device: `[tenant, device, readings, earliest received_at, latest received_at, place of the last, its mark]`.
#[derive(Debug, Serialize)]
struct DevicePart<'a>(&'a str, &'a str, u32, i64, i64, usize, i64);

/// A reading's id is the next of the sequence, or its mark if that is larger. Marks grow within a batch and are never below the receipt
/// in microseconds, which is how histories find where a time begins. The sequence itself is moved on last, as every id is counted from
/// where it stood. `jsonb_each`, unlike `json_each`, hands out each element without writing it as text first.
pub(super) const APPEND: &str = "
INSERT INTO readings (reading_id, previous_id, tenant_id, device_id, kind, ts, received_at, site_id, seq, metrics, trace)
SELECT max((SELECT value FROM sequences WHERE name = 'readings') + 1 + r.key, r.value ->> 2),
    CASE WHEN r.value ->> 3 IS NULL THEN s.last_reading_id
        ELSE max((SELECT value FROM sequences WHERE name = 'readings') + 1 + (r.value ->> 3), r.value ->> 4) END,
    s.tenant_id, s.device_id, r.value ->> 5, r.value ->> 6, r.value ->> 7, r.value ->> 8, r.value ->> 9, r.value -> 10, r.value ->> 11
FROM jsonb_each(?1) r CROSS JOIN device_state s ON s.tenant_id = r.value ->> 0 AND s.device_id = r.value ->> 1;

UPDATE device_state SET
    due_at = CASE WHEN last_reading_id > evaluated_through THEN due_at ELSE min(coalesce(due_at, d.value ->> 3), d.value ->> 3) END,
    last_seen = max(coalesce(last_seen, d.value ->> 4), d.value ->> 4),
    last_reading_id = max((SELECT value FROM sequences WHERE name = 'readings') + 1 + (d.value ->> 5), d.value ->> 6),
    reading_count = reading_count + (d.value ->> 2)
FROM jsonb_each(?2) d
WHERE device_state.tenant_id = d.value ->> 0 AND device_state.device_id = d.value ->> 1;

UPDATE sequences SET value = max(value + ?3, ?4) WHERE name = 'readings'";

/// The chain is stepped into at the first milestone beyond what is asked for, then walked back: no sort, as it is in the order asked.
/// A milestone that was received at or after `to` has nothing behind it that was received before, but where a clock went back.
pub(super) const HISTORY: &str = "
WITH RECURSIVE chain (reading_id, previous_id, kind, ts, received_at, site_id, seq, metrics, trace) AS (
    SELECT reading_id, previous_id, kind, ts, received_at, site_id, seq, metrics, trace FROM readings
    WHERE reading_id = (
        SELECT min(
            s.last_reading_id,
            coalesce((SELECT min(reading_id) FROM milestones m
                WHERE m.tenant_id = ?1 AND m.device_id = ?2 AND m.reading_id >= ?3), s.last_reading_id),
            coalesce((SELECT m.reading_id FROM milestones m
                WHERE m.tenant_id = ?1 AND m.device_id = ?2 AND m.reading_id >= ?5 AND m.received_at >= ?5
                ORDER BY m.reading_id LIMIT 1), s.last_reading_id))
        FROM device_state s WHERE s.tenant_id = ?1 AND s.device_id = ?2)
    UNION ALL
    SELECT r.reading_id, r.previous_id, r.kind, r.ts, r.received_at, r.site_id, r.seq, r.metrics, r.trace
    FROM chain c CROSS JOIN readings r ON r.reading_id = c.previous_id
    WHERE c.previous_id >= ?4
)
SELECT * FROM chain WHERE reading_id < ?3 AND received_at >= ?4 AND received_at < ?5 LIMIT ?6";

#[async_trait]
impl IngestStore for SqliteStore {
    async fn device_credentials(&self, keys: &[DeviceKey]) -> Result<Vec<Option<DeviceCredential>>> {
        let pairs: Vec<[&str; 2]> = keys.iter().map(|key| [key.tenant_id.as_str(), key.device_id.as_str()]).collect();
        let found = sqlx::query(
            "SELECT k.key AS place, d.site_id, d.lifecycle, d.token_hash
            FROM jsonb_each(?1) k CROSS JOIN devices d ON d.tenant_id = k.value ->> 0 AND d.device_id = k.value ->> 1",
        )
        .bind(to_json(&pairs)?)
        .fetch_all(&mut *self.reader().await?)
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
        let (rows, parts) = arguments(readings);
        let (Some(last_mark), Ok(count)) = (rows.last().map(|row| row.2), i64::try_from(rows.len())) else { return Ok(()) };
        let (rows, parts) = (to_json(&rows)?, to_json(&parts)?);
        let mut transaction = self.write().await?;
        sqlx::query(APPEND).bind(rows).bind(parts).bind(count).bind(last_mark).execute(transaction.connection()).await?;
        transaction.commit().await?;
        self.signal(Topic::Readings);
        Ok(())
    }

    async fn readings(&self, key: &DeviceKey, from: Option<Timestamp>, to: Option<Timestamp>, page: &PageRequest) -> Result<Page<Reading>> {
        let after: Option<i64> = paging::after(List::Readings, page)?;
        let rows = sqlx::query(HISTORY)
            .bind(key.tenant_id.as_str())
            .bind(key.device_id.as_str())
            .bind(after.unwrap_or(i64::MAX))
            .bind(from.map_or(i64::MIN, micros))
            .bind(to.map_or(i64::MAX, micros))
            .bind(paging::rows_wanted(page))
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let items = rows.iter().map(reading).collect::<Result<_>>()?;
        Ok(paging::page(List::Readings, page, items, |reading: &Reading| reading.reading_id.0))
    }

    async fn report_ingest_progress(&self, instance: &str, progress: IngestProgress, now: Timestamp) -> Result<()> {
        let mut writer = self.writer().await?;
        sqlx::query(
            "INSERT INTO ingest_progress (instance, up_since, durable_through, reported_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (instance) DO UPDATE SET
                up_since = excluded.up_since, durable_through = excluded.durable_through, reported_at = excluded.reported_at",
        )
        .bind(instance)
        .bind(micros(progress.up_since))
        .bind(micros(progress.durable_through))
        .bind(micros(now))
        .execute(writer.connection())
        .await?;
        Ok(())
    }
}

/// The batch as the statements take it: every reading, and once each device.
fn arguments(readings: &[NewReading]) -> (Vec<ReadingArgument<'_>>, Vec<DevicePart<'_>>) {
    let mut parts: Vec<DevicePart<'_>> = Vec::new();
    let mut places: HashMap<&DeviceKey, usize> = HashMap::with_capacity(readings.len());
    let mut rows = Vec::with_capacity(readings.len());
    let mut mark = i64::MIN;
    for (place, reading) in readings.iter().enumerate() {
        let (tenant, device) = (reading.key.tenant_id.as_str(), reading.key.device_id.as_str());
        let received_at = micros(reading.received_at);
        mark = received_at.max(mark.saturating_add(1));
        let previous = match places.entry(&reading.key) {
            Entry::Occupied(known) => {
                let part = &mut parts[*known.get()];
                let previous = (part.5, part.6);
                part.2 += 1;
                (part.3, part.4) = (part.3.min(received_at), part.4.max(received_at));
                (part.5, part.6) = (place, mark);
                Some(previous)
            }
            Entry::Vacant(new) => {
                new.insert(parts.len());
                parts.push(DevicePart(tenant, device, 1, received_at, received_at, place, mark));
                None
            }
        };
        rows.push((
            tenant,
            device,
            mark,
            previous.map(|(place, _)| place),
            previous.map(|(_, mark)| mark),
            reading.kind.as_str(),
            micros(reading.ts),
            received_at,
            reading.site_id.as_str(),
            reading.seq,
            &reading.metrics,
            reading.trace.as_ref().map(TraceParent::as_str),
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
