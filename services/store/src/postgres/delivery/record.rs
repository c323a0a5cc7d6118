//! Recording attempts: the log keeps every one, and each finishes its job only under the lease it was made under.

use std::collections::HashSet;

use pulse_domain::Timestamp;
use pulse_domain::ids::JobId;
use pulse_domain::job::{ErrorKind, JobState, Verdict};
use pulse_domain::trace::TraceParent;
use sqlx::{Encode, PgConnection, Postgres, Type};

use crate::postgres::PostgresStore;
use crate::postgres::rows::Fields;
use crate::postgres::transaction::Scope;
use crate::{AttemptRecord, RecordSummary, Result, Topic};

/// Each record's row is looked up by its key, the rows are taken by their places, and only then joined with the records: by a hash, as in a
/// loop every row would be compared with every record.
///
/// The form of the statements leaves the planner no other choice. A queue that was empty when its statistics or the plan were made looks empty
/// to it still, and left to itself it would read all that has come since to find a batch.
const JOIN_BY_HASH: &str = "SET LOCAL enable_nestloop = off";

/// The attempt's number is part of the guard, so that a record that arrives twice changes nothing the second time. Only jobs that are LEASED
/// have a lease.
const FINISH: &str = "
WITH finished AS (
    DELETE FROM jobs j
    USING unnest($1::text[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::text[])
        AS a (tenant_id, job_id, lease_id, attempt, state, last_error, trace)
    WHERE j.ctid = ANY(ARRAY(
            SELECT h.ctid FROM unnest($1, $2) AS k (tenant_id, job_id)
            CROSS JOIN LATERAL (SELECT ctid FROM jobs WHERE tenant_id = k.tenant_id AND job_id = k.job_id OFFSET 0) h))
        AND j.tenant_id = a.tenant_id AND j.job_id = a.job_id
        AND j.lease_id = a.lease_id AND j.lease_until > $8 AND j.attempts = a.attempt
    RETURNING j.tenant_id, j.job_id, j.event_id, j.route_id, j.integration_id, j.queue, a.state, j.attempts, j.run_at, j.created_at,
        j.origin_at, j.trace, coalesce(a.trace, j.attempt_trace), a.last_error, j.payload)
INSERT INTO finished_jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
    origin_at, trace, attempt_trace, last_error, payload, finished_at)
SELECT *, $8 FROM finished
RETURNING job_id, attempts";

const RETRY: &str = "
UPDATE jobs j SET
    state = 'PENDING',
    run_at = a.run_at,
    last_error = a.last_error,
    attempt_trace = coalesce(a.trace, j.attempt_trace),
    lease_id = NULL,
    lease_until = NULL
FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::integer[], $5::timestamptz[], $6::text[], $7::text[])
    AS a (tenant_id, job_id, lease_id, attempt, run_at, last_error, trace)
WHERE j.ctid = ANY(ARRAY(
        SELECT h.ctid FROM unnest($1, $2) AS k (tenant_id, job_id)
        CROSS JOIN LATERAL (SELECT ctid FROM jobs WHERE tenant_id = k.tenant_id AND job_id = k.job_id OFFSET 0) h))
    AND j.tenant_id = a.tenant_id AND j.job_id = a.job_id
    AND j.lease_id = a.lease_id AND j.lease_until > $8 AND j.attempts = a.attempt
RETURNING j.job_id, j.attempts";

/// `$9`: every record has just been found to have its job.
const LOG: &str = "
INSERT INTO attempts (tenant_id, job_id, started_at, attempt, finished_at, error, http_status, detail)
SELECT a.* FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::integer[], $5::timestamptz[], $6::text[], $7::integer[], $8::text[])
    AS a (tenant_id, job_id, started_at, attempt, finished_at, error, http_status, detail)
WHERE $9 OR EXISTS (SELECT FROM all_jobs j WHERE j.tenant_id = a.tenant_id AND j.job_id = a.job_id)
ON CONFLICT DO NOTHING";

pub(super) async fn record(store: &PostgresStore, records: &[AttemptRecord], now: Timestamp) -> Result<RecordSummary> {
    if records.is_empty() {
        return Ok(RecordSummary::default());
    }
    let (mut ends, mut retries) = (Vec::new(), Vec::new());
    for record in records {
        match record.verdict {
            Verdict::Delivered => ends.push((record, JobState::Delivered.as_str())),
            Verdict::Dead => ends.push((record, JobState::Dead.as_str())),
            Verdict::Retry { run_at } => retries.push((record, run_at)),
        }
    }
    let mut transaction = store.begin(Scope::AllTenants).await?;
    sqlx::raw_sql(JOIN_BY_HASH).execute(transaction.connection()).await?;
    let mut settled = settle(transaction.connection(), FINISH, &ends, now).await?;
    settled.extend(settle(transaction.connection(), RETRY, &retries, now).await?);
    let summary = RecordSummary::new(records, settled);
    log(transaction.connection(), records, summary.lost.is_empty()).await?;
    transaction.commit().await?;
    if !retries.is_empty() {
        store.hints.signal(Topic::Jobs);
    }
    Ok(summary)
}

/// Runs a statement over records and what is to become of their jobs; returns the jobs that were still held, with the number of the attempt.
async fn settle<F>(
    connection: &mut PgConnection,
    sql: &'static str,
    records: &[(&AttemptRecord, F)],
    now: Timestamp,
) -> Result<HashSet<(JobId, u32)>>
where
    F: Copy + Send,
    Vec<F>: for<'q> Encode<'q, Postgres> + Type<Postgres>,
{
    if records.is_empty() {
        return Ok(HashSet::new());
    }
    let of = || records.iter().map(|(record, _)| *record);
    let rows = sqlx::query(sql)
        .bind(of().map(|record| record.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(of().map(|record| record.attempt.job_id.0).collect::<Vec<_>>())
        .bind(of().map(|record| record.lease.0).collect::<Vec<_>>())
        .bind(of().map(|record| integer(record.attempt.attempt)).collect::<Vec<_>>())
        .bind(records.iter().map(|(_, fate)| *fate).collect::<Vec<F>>())
        .bind(of().map(last_error).collect::<Vec<_>>())
        .bind(of().map(|record| record.trace.as_ref().map(TraceParent::as_str)).collect::<Vec<_>>())
        .bind(now)
        .fetch_all(connection)
        .await?;
    let settled = |row| {
        let fields = Fields::new(row, "a settled job");
        Ok((JobId(fields.id("job_id")?), fields.small_number("attempts")?))
    };
    rows.iter().map(settled).collect()
}

async fn log(connection: &mut PgConnection, records: &[AttemptRecord], all_found: bool) -> Result<()> {
    let attempts = || records.iter().map(|record| &record.attempt);
    sqlx::query(LOG)
        .bind(records.iter().map(|record| record.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(attempts().map(|attempt| attempt.job_id.0).collect::<Vec<_>>())
        .bind(attempts().map(|attempt| attempt.started_at).collect::<Vec<_>>())
        .bind(attempts().map(|attempt| integer(attempt.attempt)).collect::<Vec<_>>())
        .bind(attempts().map(|attempt| attempt.finished_at).collect::<Vec<_>>())
        .bind(attempts().map(|attempt| attempt.error.map(ErrorKind::as_str)).collect::<Vec<_>>())
        .bind(attempts().map(|attempt| attempt.http_status.map(i32::from)).collect::<Vec<_>>())
        .bind(attempts().map(|attempt| attempt.detail.as_deref()).collect::<Vec<_>>())
        .bind(all_found)
        .execute(connection)
        .await?;
    Ok(())
}

/// What becomes the job's last error.
fn last_error(record: &AttemptRecord) -> Option<&str> {
    record.attempt.error.map(|kind| record.attempt.detail.as_deref().unwrap_or(kind.as_str()))
}

/// PostgreSQL's integers are signed; nobody counts that far.
fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
