//! The bare statements: due rows are claimed, their readings read, the rows updated. A claim is a lease that is committed before any work is
//! done, as nothing may be held meanwhile.

use sqlx::{PgConnection, Row as _};

/// What the store's plans are held to as well.
const PLANS: &str = "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan";

const TABLES: &str = "
CREATE TABLE bare_due (
    tenant_id text COLLATE \"C\" NOT NULL, device_id text COLLATE \"C\" NOT NULL, evaluated_through bigint NOT NULL, due_at timestamptz NOT NULL,
    memory json NOT NULL, lease_until timestamptz, PRIMARY KEY (tenant_id, device_id)) WITH (fillfactor = 60);
INSERT INTO bare_due SELECT tenant_id, device_id, 0, due_at, '{}' FROM device_state;
CREATE INDEX bare_due_at ON bare_due (due_at);
CREATE TABLE bare_history (LIKE readings, PRIMARY KEY (tenant_id, device_id, reading_id));
INSERT INTO bare_history SELECT * FROM readings;
CREATE TABLE due_since AS SELECT tenant_id, device_id, min(received_at) - random() * interval '1 minute' AS due_at FROM readings GROUP BY 1, 2;";

const CLAIM: &str = "
UPDATE bare_due SET lease_until = now() + interval '1 minute'
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM bare_due WHERE due_at <= now() AND (lease_until IS NULL OR lease_until <= now())
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING tenant_id, device_id, evaluated_through, memory::text";

const READ: &str = "
SELECT c.place, r.reading_id, r.metrics::text, r.kind, r.ts, r.received_at, r.site_id, r.seq, r.trace
FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS c (tenant_id, device_id, through, place)
CROSS JOIN LATERAL (
    SELECT reading_id, metrics, kind, ts, received_at, site_id, seq, trace FROM bare_history
    WHERE tenant_id = c.tenant_id AND device_id = c.device_id AND reading_id > c.through ORDER BY reading_id LIMIT 32) r";

const UPDATE: &str = "
UPDATE bare_due s SET evaluated_through = o.through, memory = o.memory::json, due_at = now() + interval '1 hour', lease_until = NULL
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS o (tenant_id, device_id, through, memory)
WHERE s.tenant_id = o.tenant_id AND s.device_id = o.device_id";

const MEMORY: &str = r#"{"latest":{"battery_v":77.25,"humidity_pct":40.0,"temperature_c":21.5}}"#;

/// The bare tables with the same devices and readings as the store's.
pub(super) async fn make_tables(connection: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::raw_sql(TABLES).execute(connection).await?;
    Ok(())
}

/// Every device due again with all its readings, for the store's tables and the bare ones alike.
pub(super) async fn reset(connection: &mut PgConnection) -> anyhow::Result<()> {
    for statement in [
        "UPDATE bare_due s SET evaluated_through = 0, due_at = d.due_at, memory = '{}', lease_until = NULL
            FROM due_since d WHERE d.tenant_id = s.tenant_id AND d.device_id = s.device_id",
        "UPDATE device_state s SET evaluated_through = 0, due_at = d.due_at, memory = '{}', status = 'UNKNOWN', lease_id = NULL, lease_until = NULL
            FROM due_since d WHERE d.tenant_id = s.tenant_id AND d.device_id = s.device_id",
        "VACUUM (ANALYZE) bare_due",
        "VACUUM (ANALYZE) device_state",
        "VACUUM (ANALYZE) bare_history",
        "VACUUM (ANALYZE) readings",
        "CHECKPOINT",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Evaluates until nothing is left to claim; how many devices.
pub(super) async fn work(mut connection: PgConnection, claim: u32) -> anyhow::Result<usize> {
    sqlx::raw_sql(PLANS).execute(&mut connection).await?;
    let mut done = 0;
    loop {
        let claimed = cycle(&mut connection, claim).await?;
        if claimed == 0 {
            return Ok(done);
        }
        done += claimed;
    }
}

async fn cycle(connection: &mut PgConnection, claim: u32) -> anyhow::Result<usize> {
    let claimed = sqlx::query(CLAIM).bind(i64::from(claim)).fetch_all(&mut *connection).await?;
    if claimed.is_empty() {
        return Ok(0);
    }
    let text = |column: usize| claimed.iter().map(|row| row.try_get(column)).collect::<sqlx::Result<Vec<String>>>();
    let (tenant_ids, device_ids) = (text(0)?, text(1)?);
    let mut through = claimed.iter().map(|row| row.try_get(2)).collect::<sqlx::Result<Vec<i64>>>()?;
    let read = sqlx::query(READ).bind(&tenant_ids).bind(&device_ids).bind(&through).fetch_all(&mut *connection).await?;
    for row in &read {
        let place = usize::try_from(row.try_get::<i64, _>(0)? - 1)?;
        let _metrics: &str = row.try_get(2)?;
        if let Some(through) = through.get_mut(place) {
            *through = row.try_get(1)?;
        }
    }
    let memories = vec![MEMORY; claimed.len()];
    sqlx::query(UPDATE).bind(&tenant_ids).bind(&device_ids).bind(&through).bind(memories).execute(connection).await?;
    Ok(claimed.len())
}
