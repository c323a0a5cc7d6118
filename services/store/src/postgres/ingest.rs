//! Readings on their way in, and as history.
//!
//! Readings have a partition a day, which is dropped whole; a claim looks at no day before the device's `due_at`. Readings outside the days that
//! exist (a wrong clock, or nobody made the next day) go to `readings_other`, from which rows are purged.

mod append;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::credential::TokenHash;
use pulse_domain::device::Lifecycle;
use pulse_domain::evaluation::IngestProgress;
use pulse_domain::ids::{DeviceKey, ReadingId};
use pulse_domain::reading::{NewReading, Reading, ReadingKind};
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::rows::Fields;
use super::transaction::Scope;
use crate::paging::{self, List};
use crate::{DeviceCredential, Error, IngestStore, Page, PageRequest, Result, Topic};

/// Newest first: the days are merged by their index, those outside the times asked for are not looked at.
const HISTORY: &str = "
SELECT reading_id, kind, ts, received_at, site_id, seq, metrics, trace FROM readings
WHERE tenant_id = $1 AND device_id = $2 AND reading_id < $3
    AND received_at >= coalesce($4, timestamptz '-infinity') AND received_at < coalesce($5, timestamptz 'infinity')
ORDER BY reading_id DESC LIMIT $6";

#[async_trait]
impl IngestStore for PostgresStore {
    async fn device_credentials(&self, keys: &[DeviceKey]) -> Result<Vec<Option<DeviceCredential>>> {
        let tenants: Vec<&str> = keys.iter().map(|key| key.tenant_id.as_str()).collect();
        let devices: Vec<&str> = keys.iter().map(|key| key.device_id.as_str()).collect();
        let query = sqlx::query("SELECT * FROM device_credentials($1, $2)").bind(tenants).bind(devices);
        let found = self.rows(Scope::AllTenants, query).await?;
        let mut credentials = vec![None; keys.len()];
        for row in &found {
            let fields = Fields::new(row, "a device");
            // PostgreSQL counts from 1.
            if let Some(slot) = fields.number::<usize>("place")?.checked_sub(1).and_then(|place| credentials.get_mut(place)) {
                *slot = Some(credential(fields)?);
            }
        }
        Ok(credentials)
    }

    async fn append_readings(&self, readings: &[NewReading]) -> Result<()> {
        if readings.is_empty() {
            return Ok(());
        }
        append::append(self, readings).await?;
        self.hints.signal(Topic::Readings);
        Ok(())
    }

    async fn readings(&self, key: &DeviceKey, from: Option<Timestamp>, to: Option<Timestamp>, page: &PageRequest) -> Result<Page<Reading>> {
        let after: Option<i64> = paging::after(List::Readings, page)?;
        let query = sqlx::query(HISTORY)
            .bind(key.tenant_id.as_str())
            .bind(key.device_id.as_str())
            .bind(after.unwrap_or(i64::MAX))
            .bind(from)
            .bind(to)
            .bind(paging::rows_wanted(page));
        let rows = self.rows(&key.tenant_id, query).await?;
        let items = rows.iter().map(reading).collect::<Result<_>>()?;
        Ok(paging::page(List::Readings, page, items, |reading: &Reading| reading.reading_id.0))
    }

    async fn report_ingest_progress(&self, instance: &str, progress: IngestProgress, now: Timestamp) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO ingest_progress (instance, up_since, durable_through, reported_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (instance) DO UPDATE SET
                up_since = excluded.up_since, durable_through = excluded.durable_through, reported_at = excluded.reported_at",
        )
        .bind(instance)
        .bind(progress.up_since)
        .bind(progress.durable_through)
        .bind(now);
        self.execute(Scope::AllTenants, query).await?;
        Ok(())
    }
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

/// A reading of a row that has all its columns.
pub(super) fn reading(row: &PgRow) -> Result<Reading> {
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
