//! The bare statements: what PostgreSQL does when nothing is asked of it but the rows.

use pulse_domain::Timestamp;
use sqlx::{Connection as _, PgConnection};

use super::batches::Columns;
use crate::population::Population;

/// A bare way to write a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// `COPY … FROM STDIN (FORMAT binary)`.
    Copy,
    /// `INSERT … SELECT FROM unnest(…)`.
    Unnest,
    /// The same, and an upsert of the devices' states in the same transaction.
    Upsert,
    /// The same into tables with the two indexes that evaluators read by: of a device's readings, and of the devices that are due.
    Indexed,
}

const TABLES: &str = "
CREATE TABLE bare_readings (
    tenant_id text COLLATE \"C\" NOT NULL, device_id text COLLATE \"C\" NOT NULL, kind text NOT NULL, ts timestamptz NOT NULL,
    received_at timestamptz NOT NULL, site_id text NOT NULL, seq bigint, metrics json NOT NULL);
CREATE TABLE bare_state (
    tenant_id text COLLATE \"C\" NOT NULL, device_id text COLLATE \"C\" NOT NULL, last_seen timestamptz NOT NULL, reading_count bigint NOT NULL,
    PRIMARY KEY (tenant_id, device_id)) WITH (fillfactor = 60);
CREATE TABLE indexed_readings (LIKE bare_readings);
CREATE INDEX ON indexed_readings (tenant_id, device_id, received_at);
CREATE TABLE indexed_state (LIKE bare_state, due_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, device_id)) WITH (fillfactor = 60);
CREATE INDEX ON indexed_state (due_at);";

const COPY: &str = "COPY bare_readings FROM STDIN (FORMAT binary)";

macro_rules! insert_into {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " SELECT a, b, c, d, e, f, g, h::json FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[],
                $5::timestamptz[], $6::text[], $7::bigint[], $8::text[]) AS u (a, b, c, d, e, f, g, h)"
        )
    };
}

const INSERT: &str = insert_into!("bare_readings");
const INSERT_INDEXED: &str = insert_into!("indexed_readings");

const UPSERT: &str = "
INSERT INTO bare_state AS s SELECT a, b, c, 1 FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u (a, b, c)
ON CONFLICT (tenant_id, device_id) DO UPDATE SET
    last_seen = greatest(s.last_seen, excluded.last_seen), reading_count = s.reading_count + excluded.reading_count";

const UPSERT_INDEXED: &str = "
INSERT INTO indexed_state AS s SELECT a, b, c, 1, c FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u (a, b, c)
ON CONFLICT (tenant_id, device_id) DO UPDATE SET
    last_seen = greatest(s.last_seen, excluded.last_seen), reading_count = s.reading_count + excluded.reading_count,
    due_at = least(s.due_at, excluded.due_at)";

impl Bare {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Copy => "COPY BINARY",
            Self::Unnest => "INSERT FROM UNNEST",
            Self::Upsert => "INSERT FROM UNNEST with upsert",
            Self::Indexed => "the same with indexes to read by",
        }
    }

    /// One transaction.
    pub(super) async fn write(self, connection: &mut PgConnection, columns: &Columns) -> anyhow::Result<()> {
        match self {
            Self::Copy => copy(connection, columns).await,
            Self::Unnest => insert(INSERT, connection, columns).await,
            Self::Upsert => both(INSERT, UPSERT, connection, columns).await,
            Self::Indexed => both(INSERT_INDEXED, UPSERT_INDEXED, connection, columns).await,
        }
    }
}

/// The tables, with a state for each device.
pub(super) async fn make_tables(connection: &mut PgConnection, population: &Population) -> anyhow::Result<()> {
    sqlx::raw_sql(TABLES).execute(&mut *connection).await?;
    let tenant_ids: Vec<&str> = population.devices.iter().map(|key| key.tenant_id.as_str()).collect();
    let device_ids: Vec<&str> = population.devices.iter().map(|key| key.device_id.as_str()).collect();
    let received_at = vec![chrono::Utc::now(); tenant_ids.len()];
    for upsert in [UPSERT, UPSERT_INDEXED] {
        sqlx::query(upsert).bind(&tenant_ids).bind(&device_ids).bind(&received_at).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Everything as before the first reading, for the store's tables and the bare ones alike.
pub(super) async fn reset(connection: &mut PgConnection) -> anyhow::Result<()> {
    for statement in [
        "TRUNCATE bare_readings, indexed_readings, readings",
        "UPDATE bare_state SET reading_count = 0",
        "UPDATE indexed_state SET reading_count = 0, due_at = now() + interval '1 hour'",
        "UPDATE device_state SET reading_count = 0, evaluated_through = 0, last_seen = NULL, due_at = now() + interval '1 hour'",
        "VACUUM (ANALYZE) bare_state",
        "VACUUM (ANALYZE) indexed_state",
        "VACUUM (ANALYZE) device_state",
        "CHECKPOINT",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn both(insert: &'static str, upsert: &'static str, connection: &mut PgConnection, columns: &Columns) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    self::insert(insert, &mut transaction, columns).await?;
    let upsert = sqlx::query(upsert).bind(&columns.tenant_ids).bind(&columns.device_ids).bind(&columns.received_at);
    upsert.execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

async fn insert(insert: &'static str, connection: &mut PgConnection, columns: &Columns) -> anyhow::Result<()> {
    sqlx::query(insert)
        .bind(&columns.tenant_ids)
        .bind(&columns.device_ids)
        .bind(&columns.kinds)
        .bind(&columns.ts)
        .bind(&columns.received_at)
        .bind(&columns.site_ids)
        .bind(&columns.seqs)
        .bind(&columns.metrics)
        .execute(connection)
        .await?;
    Ok(())
}

async fn copy(connection: &mut PgConnection, columns: &Columns) -> anyhow::Result<()> {
    let rows = columns.tenant_ids.len();
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for row in 0..rows {
        data.extend(8_i16.to_be_bytes());
        field(&mut data, columns.tenant_ids[row].as_bytes())?;
        field(&mut data, columns.device_ids[row].as_bytes())?;
        field(&mut data, columns.kinds[row].as_bytes())?;
        field(&mut data, &postgres_micros(columns.ts[row]).to_be_bytes())?;
        field(&mut data, &postgres_micros(columns.received_at[row]).to_be_bytes())?;
        field(&mut data, columns.site_ids[row].as_bytes())?;
        match columns.seqs[row] {
            Some(seq) => field(&mut data, &seq.to_be_bytes())?,
            None => data.extend((-1_i32).to_be_bytes()),
        }
        field(&mut data, columns.metrics[row].as_bytes())?;
    }
    data.extend((-1_i16).to_be_bytes());
    let mut copying = connection.copy_in_raw(COPY).await?;
    copying.send(data).await?;
    let copied = copying.finish().await?;
    anyhow::ensure!(copied == rows as u64, "COPY took {copied} of {rows} rows");
    Ok(())
}

fn field(data: &mut Vec<u8>, bytes: &[u8]) -> anyhow::Result<()> {
    data.extend(i32::try_from(bytes.len())?.to_be_bytes());
    data.extend(bytes);
    Ok(())
}

/// PostgreSQL counts from the year 2000.
fn postgres_micros(at: Timestamp) -> i64 {
    const EPOCH_MICROS: i64 = 946_684_800_000_000;
    at.timestamp_micros() - EPOCH_MICROS
}
