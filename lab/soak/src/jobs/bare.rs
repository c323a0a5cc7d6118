//! The bare statements: a job is claimed in one and completed in another, an event becomes a job in one transaction, and nothing more.

use std::sync::Arc;

use pulse_domain::integration::Queue;
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

/// What the store's plans are held to as well.
const PLANS: &str = "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan";

const TABLES: &str = "
CREATE TABLE bare_jobs (
    id uuid NOT NULL PRIMARY KEY, state smallint NOT NULL DEFAULT 0, run_at timestamptz NOT NULL, attempts integer NOT NULL DEFAULT 0,
    lease_until timestamptz, payload json NOT NULL);
CREATE INDEX bare_jobs_ready ON bare_jobs (run_at, id) WHERE state = 0;
CREATE TABLE bare_attempts (
    id uuid NOT NULL, attempt integer NOT NULL, started_at timestamptz NOT NULL, finished_at timestamptz NOT NULL, PRIMARY KEY (id, attempt));
CREATE TABLE bare_events (seq bigint NOT NULL PRIMARY KEY, id uuid NOT NULL, payload json NOT NULL);
CREATE TABLE own_jobs (LIKE jobs INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE own_finished_jobs (LIKE finished_jobs INCLUDING ALL);
CREATE TABLE own_attempts (LIKE attempts INCLUDING ALL);";

const CLAIM: &str = "
UPDATE bare_jobs SET state = 1, attempts = attempts + 1, lease_until = now() + interval '1 minute'
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM bare_jobs WHERE state = 0 AND run_at <= now() ORDER BY run_at, id LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING id, attempts, payload::text";

const COMPLETE: &str = "
WITH done AS (
    DELETE FROM bare_jobs j USING unnest($1::uuid[], $2::integer[]) AS d (id, attempt)
    WHERE j.id = d.id AND j.state = 1 AND j.attempts = d.attempt
    RETURNING j.id, j.attempts)
INSERT INTO bare_attempts (id, attempt, started_at, finished_at) SELECT id, attempts, $3, now() FROM done";

/// On rows and indexes as the store has them.
const CLAIM_OWN: &str = "
UPDATE own_jobs SET state = 'LEASED', attempts = attempts + 1, lease_until = now() + interval '1 minute'
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM own_jobs WHERE state = 'PENDING' AND queue = $2 AND run_at <= now() ORDER BY run_at, job_id LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING job_id, attempts, tenant_id, payload::text";

/// With the history that jobs go to.
const COMPLETE_OWN: &str = "
WITH done AS (
    DELETE FROM own_jobs j USING unnest($1::text[], $2::uuid[], $3::integer[]) AS d (tenant_id, job_id, attempt)
    WHERE j.tenant_id = d.tenant_id AND j.job_id = d.job_id AND j.attempts = d.attempt
    RETURNING j.*
), finished AS (
    INSERT INTO own_finished_jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
        origin_at, payload, finished_at)
    SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, 'DELIVERED', attempts, run_at, created_at, origin_at, payload, now()
    FROM done)
INSERT INTO own_attempts (tenant_id, job_id, started_at, attempt, finished_at, http_status)
SELECT tenant_id, job_id, $4, attempts, now(), 200 FROM done";

const TAKE: &str = "
DELETE FROM bare_events
WHERE ctid = ANY(ARRAY(SELECT ctid FROM bare_events ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING id, payload::text";

const ENQUEUE: &str = "
INSERT INTO bare_jobs (id, run_at, payload)
SELECT id, now(), payload::json FROM unnest($1::uuid[], $2::text[]) AS u (id, payload)";

/// Jobs as arrays.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    pub(super) ids: Vec<Uuid>,
    pub(super) payloads: Vec<String>,
}

/// One writer's part of the statements: every so many-th.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) statements: Arc<[Columns]>,
    pub(super) number: usize,
    pub(super) of: usize,
}

pub(super) async fn make_tables(connection: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::raw_sql(TABLES).execute(connection).await?;
    Ok(())
}

/// Claims and completes until nothing is left to claim; how many jobs.
pub(super) async fn deliver(mut connection: PgConnection, claim: u32) -> anyhow::Result<usize> {
    sqlx::raw_sql(PLANS).execute(&mut connection).await?;
    let mut done = 0;
    loop {
        let started_at = chrono::Utc::now();
        let claimed = sqlx::query(CLAIM).bind(i64::from(claim)).fetch_all(&mut connection).await?;
        if claimed.is_empty() {
            return Ok(done);
        }
        let ids = claimed.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<Uuid>>>()?;
        let attempts = claimed.iter().map(|row| row.try_get(1)).collect::<sqlx::Result<Vec<i32>>>()?;
        let completed = sqlx::query(COMPLETE).bind(ids).bind(attempts).bind(started_at).execute(&mut connection).await?;
        done += usize::try_from(completed.rows_affected())?;
    }
}

/// The same on rows and indexes as the store has them.
pub(super) async fn deliver_own(mut connection: PgConnection, claim: u32) -> anyhow::Result<usize> {
    sqlx::raw_sql(PLANS).execute(&mut connection).await?;
    let mut done = 0;
    loop {
        let started_at = chrono::Utc::now();
        let claiming = sqlx::query(CLAIM_OWN).bind(i64::from(claim)).bind(Queue::Integration.as_str());
        let claimed = claiming.fetch_all(&mut connection).await?;
        if claimed.is_empty() {
            return Ok(done);
        }
        let tenants = claimed.iter().map(|row| row.try_get(2)).collect::<sqlx::Result<Vec<String>>>()?;
        let ids = claimed.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<Uuid>>>()?;
        let attempts = claimed.iter().map(|row| row.try_get(1)).collect::<sqlx::Result<Vec<i32>>>()?;
        let completing = sqlx::query(COMPLETE_OWN).bind(tenants).bind(ids).bind(attempts).bind(started_at);
        done += usize::try_from(completing.execute(&mut connection).await?.rows_affected())?;
    }
}

/// Makes jobs of events until no event is left; how many jobs.
pub(super) async fn dispatch(mut connection: PgConnection, batch: u32) -> anyhow::Result<usize> {
    sqlx::raw_sql(PLANS).execute(&mut connection).await?;
    let mut made = 0;
    loop {
        let mut transaction = connection.begin().await?;
        let taken = sqlx::query(TAKE).bind(i64::from(batch)).fetch_all(&mut *transaction).await?;
        if taken.is_empty() {
            return Ok(made);
        }
        let mut jobs = Columns::default();
        for row in &taken {
            jobs.ids.push(row.try_get(0)?);
            jobs.payloads.push(row.try_get(1)?);
        }
        made += insert(&mut transaction, &jobs).await?;
        transaction.commit().await?;
    }
}

/// Makes these jobs; how many.
pub(super) async fn enqueue(mut connection: PgConnection, part: Part) -> anyhow::Result<usize> {
    sqlx::raw_sql(PLANS).execute(&mut connection).await?;
    let mut made = 0;
    for jobs in part.statements.iter().skip(part.number).step_by(part.of) {
        made += insert(&mut connection, jobs).await?;
    }
    Ok(made)
}

async fn insert(connection: &mut PgConnection, jobs: &Columns) -> anyhow::Result<usize> {
    let done = sqlx::query(ENQUEUE).bind(&jobs.ids).bind(&jobs.payloads).execute(connection).await?;
    Ok(usize::try_from(done.rows_affected())?)
}
