//! Recording attempts: the log keeps every one, and each finishes its job only under the lease it was made under.

use pulse_domain::Timestamp;
use pulse_domain::ids::{JobId, LeaseId, TenantId};
use pulse_domain::job::{ErrorKind, JobState, Verdict};
use pulse_domain::trace::TraceParent;
use serde::Serialize;

use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, micros, to_json};
use crate::{AttemptRecord, RecordSummary, Result, Topic};

#[derive(Serialize)]
struct RecordArgument<'a> {
    tenant_id: &'a TenantId,
    job_id: JobId,
    lease: LeaseId,
    attempt: u32,
    started_at: i64,
    finished_at: i64,
    error: Option<&'static str>,
    http_status: Option<u16>,
    detail: Option<&'a str>,
    state: &'static str,
    /// None: as it was.
    run_at: Option<i64>,
    last_error: Option<&'a str>,
    trace: Option<&'a TraceParent>,
}

impl<'a> From<&'a AttemptRecord> for RecordArgument<'a> {
    fn from(record: &'a AttemptRecord) -> Self {
        let attempt = &record.attempt;
        let (state, run_at) = match record.verdict {
            Verdict::Delivered => (JobState::Delivered, None),
            Verdict::Retry { run_at } => (JobState::Pending, Some(micros(run_at))),
            Verdict::Dead => (JobState::Dead, None),
        };
        let error = attempt.error.map(ErrorKind::as_str);
        Self {
            tenant_id: &record.tenant_id,
            job_id: attempt.job_id,
            lease: record.lease,
            attempt: attempt.attempt,
            started_at: micros(attempt.started_at),
            finished_at: micros(attempt.finished_at),
            error,
            http_status: attempt.http_status,
            detail: attempt.detail.as_deref(),
            state: state.as_str(),
            run_at,
            last_error: error.map(|kind| attempt.detail.as_deref().unwrap_or(kind)),
            trace: record.trace.as_ref(),
        }
    }
}

pub(in crate::sqlite) const LOG: &str = "
INSERT INTO attempts (tenant_id, job_id, started_at, attempt, finished_at, error, http_status, detail)
SELECT j.tenant_id, j.job_id, a.value ->> 'started_at', a.value ->> 'attempt', a.value ->> 'finished_at', a.value ->> 'error',
    a.value ->> 'http_status', a.value ->> 'detail'
FROM jsonb_each(?1) a
CROSS JOIN jobs j ON j.tenant_id = a.value ->> 'tenant_id' AND j.job_id = unhex(a.value ->> 'job_id', '-')
WHERE true
ON CONFLICT DO NOTHING";

/// The attempt's number is part of the guard, so that a record that arrives twice changes nothing the second time.
pub(in crate::sqlite) const FINISH: &str = "
UPDATE jobs SET
    state = a.value ->> 'state',
    run_at = coalesce(a.value ->> 'run_at', run_at),
    finished_at = CASE WHEN a.value ->> 'state' = 'PENDING' THEN NULL ELSE ?2 END,
    last_error = a.value ->> 'last_error',
    attempt_trace = coalesce(a.value ->> 'trace', attempt_trace),
    lease_id = NULL,
    lease_until = NULL
FROM jsonb_each(?1) a
WHERE jobs.tenant_id = a.value ->> 'tenant_id' AND jobs.job_id = unhex(a.value ->> 'job_id', '-')
    AND jobs.state = 'LEASED' AND jobs.lease_id = unhex(a.value ->> 'lease', '-') AND jobs.lease_until > ?2
    AND jobs.attempts = a.value ->> 'attempt'
RETURNING job_id, attempts";

pub(super) async fn record(store: &SqliteStore, records: &[AttemptRecord], now: Timestamp) -> Result<RecordSummary> {
    if records.is_empty() {
        return Ok(RecordSummary::default());
    }
    let arguments: Vec<RecordArgument<'_>> = records.iter().map(RecordArgument::from).collect();
    let arguments = to_json(&arguments)?;
    let mut transaction = store.write().await?;
    sqlx::query(LOG).bind(&arguments).execute(transaction.connection()).await?;
    let settled = sqlx::query(FINISH)
        .bind(&arguments)
        .bind(micros(now))
        .fetch_all(transaction.connection())
        .await?
        .iter()
        .map(|row| {
            let fields = Fields::new(row, "a settled job");
            Ok((JobId(fields.id("job_id")?), fields.number("attempts")?))
        })
        .collect::<Result<_>>()?;
    transaction.commit().await?;
    if records.iter().any(|record| matches!(record.verdict, Verdict::Retry { .. })) {
        store.signal(Topic::Jobs);
    }
    Ok(RecordSummary::new(records, settled))
}
