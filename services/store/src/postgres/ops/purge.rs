//! What goes after its time, in bounded steps, each a transaction of its own.

use pulse_domain::Timestamp;

use crate::postgres::PostgresStore;
use crate::postgres::rows::Fields;
use crate::postgres::schema::DAYS_AHEAD;
use crate::postgres::transaction::Scope;
use crate::{Purged, Result};

/// With their attempts, which do not count as rows of their own.
const JOBS: &str = "
WITH gone AS (
    DELETE FROM finished_jobs WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM finished_jobs WHERE finished_at < $1 ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING tenant_id, job_id
), attempts_gone AS (
    DELETE FROM attempts a USING gone g WHERE a.tenant_id = g.tenant_id AND a.job_id = g.job_id)
SELECT count(*) AS rows FROM gone";

/// Events happen about in the order in which they were appended, so those to purge are found at the head without an index of their own. The
/// head is looked at as far as one step needs and a bit further: past events that wait for the dispatcher, and never over the whole table when
/// there is little to purge.
const EVENTS: &str = "
WITH gone AS (
    DELETE FROM alert_events WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM (SELECT ctid, tenant_id, event_id, at FROM alert_events ORDER BY seq LIMIT $2 + 10000) head
        WHERE at < $1 AND NOT EXISTS (SELECT FROM pending_events p WHERE p.tenant_id = head.tenant_id AND p.event_id = head.event_id)
        LIMIT $2))
    RETURNING 1)
SELECT count(*) AS rows FROM gone";

const ALERTS: &str = "
WITH gone AS (
    DELETE FROM alerts WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM alerts WHERE closed_at < $1 ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING 1)
SELECT count(*) AS rows FROM gone";

/// What nothing asks for any more: silences that are over, instances of ingest that are gone.
const SILENCES: &str = "
WITH gone AS (
    DELETE FROM silences WHERE ctid = ANY(ARRAY(SELECT ctid FROM silences WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING 1)
SELECT count(*) AS rows FROM gone";
const INSTANCES: &str = "
WITH gone AS (
    DELETE FROM ingest_progress WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM ingest_progress WHERE reported_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING 1)
SELECT count(*) AS rows FROM gone";

/// Readings outside the days that have a partition. They are not locked first, as the others are: that takes the right to change them, which
/// nobody has.
const OTHER_READINGS: &str = "
WITH gone AS (
    DELETE FROM readings_other WHERE ctid = ANY(ARRAY(
        SELECT r.ctid FROM readings_other r
        JOIN device_state s ON s.tenant_id = r.tenant_id AND s.device_id = r.device_id
        WHERE r.received_at < $1 AND r.reading_id <= s.evaluated_through
        LIMIT $2))
    RETURNING 1)
SELECT count(*) AS rows FROM gone";

pub(super) async fn finished(store: &PostgresStore, before: Timestamp, limit: u32) -> Result<Purged> {
    let mut rows = 0;
    for sql in [JOBS, EVENTS, ALERTS, SILENCES, INSTANCES] {
        let left = u64::from(limit).saturating_sub(rows);
        if left == 0 {
            break;
        }
        rows += step(store, sql, before, left).await?;
    }
    Ok(Purged { rows, more: rows >= u64::from(limit) })
}

/// Whole days first: a day is dropped in one go, whatever it holds, and `limit` is for what lies outside the days.
pub(super) async fn readings(store: &PostgresStore, before: Timestamp, limit: u32) -> Result<Purged> {
    make_days(store, before).await?;
    while let Some(rows) = drop_day(store, before).await? {
        if rows > 0 {
            return Ok(Purged { rows, more: true });
        }
    }
    let rows = step(store, OTHER_READINGS, before, u64::from(limit)).await?;
    Ok(Purged { rows, more: rows >= u64::from(limit) })
}

/// Runs a statement for what is from before an instant, at most `limit` rows; how many it removed.
async fn step(store: &PostgresStore, sql: &'static str, before: Timestamp, limit: u64) -> Result<u64> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut transaction = store.begin(Scope::AllTenants).await?;
    let row = sqlx::query(sql).bind(before).bind(limit).fetch_one(transaction.connection()).await?;
    transaction.commit().await?;
    Fields::new(&row, "a purge").number("rows")
}

/// The next days' partitions, by the database's clock: all replicas agree on it, and where ingest's is another day's, its readings lie
/// outside the days and are purged there. None is made only to be dropped at once.
async fn make_days(store: &PostgresStore, before: Timestamp) -> Result<()> {
    let query = sqlx::query("SELECT make_reading_days(now(), $1) WHERE now() >= $2").bind(DAYS_AHEAD + 1).bind(before);
    store.execute(Scope::AllTenants, query).await?;
    Ok(())
}

/// Drops a day that is over; about how many readings it held, none when there is no such day.
async fn drop_day(store: &PostgresStore, before: Timestamp) -> Result<Option<u64>> {
    let mut transaction = store.begin(Scope::AllTenants).await?;
    let row = sqlx::query("SELECT drop_reading_day($1) AS rows").bind(before).fetch_one(transaction.connection()).await?;
    transaction.commit().await?;
    let rows: Option<i64> = Fields::new(&row, "a day of readings").get("rows")?;
    Ok(rows.map(|rows| u64::try_from(rows).unwrap_or_default()))
}
