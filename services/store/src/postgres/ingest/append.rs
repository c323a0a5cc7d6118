//! A batch of readings in two statements: one counts them onto their devices, which gives them their numbers, one writes them.
//!
//! A device's readings are numbered without a gap by its row in `device_state`, which stays locked until the commit: ids of a sequence could become
//! visible out of order, and a reading behind `evaluated_through` would never be evaluated. Evaluation and changes of a device's life lock the same
//! row. Batches lock rows in the order of the keys, which an upsert takes from its source whatever the plan, so that none deadlock.

use std::collections::BTreeMap;

use pulse_domain::Timestamp;
use pulse_domain::ids::DeviceKey;
use pulse_domain::reading::NewReading;
use pulse_domain::trace::TraceParent;
use sqlx::PgConnection;

use crate::Result;
use crate::postgres::PostgresStore;
use crate::postgres::rows::{Fields, to_json};
use crate::postgres::transaction::Scope;

/// A batch's part of one device, in the order of the batch.
type Part<'a> = Vec<&'a NewReading>;

/// A batch by device, in the order of the keys.
type Parts<'a> = BTreeMap<&'a DeviceKey, Part<'a>>;

pub(super) async fn append(store: &PostgresStore, readings: &[NewReading]) -> Result<()> {
    let mut parts = Parts::new();
    for reading in readings {
        parts.entry(&reading.key).or_default().push(reading);
    }
    let mut transaction = store.begin(Scope::AllTenants).await?;
    let numbered = count(transaction.connection(), parts).await?;
    if !numbered.is_empty() {
        insert(transaction.connection(), &numbered).await?;
    }
    transaction.commit().await
}

/// Numbers the readings of the devices that are registered.
async fn count<'a>(connection: &mut PgConnection, parts: Parts<'a>) -> Result<Vec<(i64, &'a NewReading)>> {
    let times = |part: &Part<'_>| part.iter().map(|reading| reading.received_at).collect::<Vec<Timestamp>>();
    let rows = sqlx::query("SELECT * FROM count_readings($1, $2, $3, $4, $5)")
        .bind(parts.keys().map(|key| key.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(parts.keys().map(|key| key.device_id.as_str()).collect::<Vec<_>>())
        .bind(parts.values().map(|part| i64::try_from(part.len()).unwrap_or(i64::MAX)).collect::<Vec<_>>())
        .bind(parts.values().map(|part| times(part).into_iter().min()).collect::<Vec<_>>())
        .bind(parts.values().map(|part| times(part).into_iter().max()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let parts: Vec<Part<'a>> = parts.into_values().collect();
    let mut numbered = Vec::new();
    for row in &rows {
        let fields = Fields::new(row, "a device");
        let last: i64 = fields.get("reading_count")?;
        // PostgreSQL counts from 1.
        let part = fields.number::<usize>("place")?.checked_sub(1).and_then(|place| parts.get(place)).map_or(&[][..], Vec::as_slice);
        // The last of the part has the last number.
        let first = last - i64::try_from(part.len()).unwrap_or(i64::MAX) + 1;
        numbered.extend((first..=last).zip(part.iter().copied()));
    }
    Ok(numbered)
}

/// By device, so that neighbours in the index are written together.
async fn insert(connection: &mut PgConnection, numbered: &[(i64, &NewReading)]) -> Result<()> {
    let readings = || numbered.iter().map(|(_, reading)| *reading);
    sqlx::query("SELECT insert_readings($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
        .bind(readings().map(|reading| reading.key.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(readings().map(|reading| reading.key.device_id.as_str()).collect::<Vec<_>>())
        .bind(numbered.iter().map(|(number, _)| *number).collect::<Vec<_>>())
        .bind(readings().map(|reading| reading.kind.as_str()).collect::<Vec<_>>())
        .bind(readings().map(|reading| reading.ts).collect::<Vec<_>>())
        .bind(readings().map(|reading| reading.received_at).collect::<Vec<_>>())
        .bind(readings().map(|reading| reading.site_id.as_str()).collect::<Vec<_>>())
        .bind(readings().map(|reading| reading.seq).collect::<Vec<_>>())
        .bind(readings().map(|reading| to_json(&reading.metrics)).collect::<Result<Vec<_>>>()?)
        .bind(readings().map(|reading| reading.trace.as_ref().map(TraceParent::as_str)).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
