//! Jobs and attempts as people see them.

use pulse_domain::ids::{EventId, IntegrationId, JobId, RouteId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, ErrorKind, Job, JobState};
use sqlx::QueryBuilder;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::paging::{self, List};
use crate::postgres::PostgresStore;
use crate::postgres::rows::Fields;
use crate::postgres::transaction::Statement;
use crate::{JobFilter, Page, PageRequest, Result};

/// The job with this id, wherever it stands.
pub(super) fn find(tenant_id: &TenantId, job_id: JobId) -> Statement<'_> {
    sqlx::query(
        "SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
            finished_at, origin_at, payload, trace, attempt_trace, last_error
        FROM all_jobs WHERE tenant_id = $1 AND job_id = $2",
    )
    .bind(tenant_id.as_str())
    .bind(job_id.0)
}

pub(super) async fn page(store: &PostgresStore, tenant_id: &TenantId, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
    let mut query = QueryBuilder::new(
        "SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
            finished_at, origin_at, payload, trace, attempt_trace, last_error
        FROM all_jobs WHERE tenant_id = ",
    );
    query.push_bind(tenant_id.as_str().to_owned());
    if let Some(before) = paging::after::<Uuid>(List::Jobs, page)? {
        query.push(" AND job_id < ").push_bind(before);
    }
    if let Some(state) = filter.state {
        // Named in the statement, not bound to it: so only the table that can hold the state is read, and dead jobs by their index.
        query.push(" AND state = '").push(state.as_str()).push("'");
    }
    if let Some(integration_id) = filter.integration_id {
        query.push(" AND integration_id = ").push_bind(integration_id.0);
    }
    query.push(" ORDER BY job_id DESC LIMIT ").push_bind(paging::rows_wanted(page));
    let rows = store.rows(tenant_id, query.build()).await?;
    let items = rows.iter().map(job).collect::<Result<_>>()?;
    Ok(paging::page(List::Jobs, page, items, |job: &Job| job.job_id.0))
}

pub(super) async fn attempts(store: &PostgresStore, tenant_id: &TenantId, job_id: JobId) -> Result<Vec<Attempt>> {
    let query = sqlx::query(
        "SELECT job_id, attempt, started_at, finished_at, error, http_status, detail
        FROM attempts WHERE tenant_id = $1 AND job_id = $2 ORDER BY started_at, attempt",
    )
    .bind(tenant_id.as_str())
    .bind(job_id.0);
    store.rows(tenant_id, query).await?.iter().map(attempt).collect()
}

pub(super) fn job(row: &PgRow) -> Result<Job> {
    let fields = Fields::new(row, "a job");
    Ok(Job {
        tenant_id: fields.text("tenant_id")?,
        job_id: JobId(fields.id("job_id")?),
        event_id: EventId(fields.id("event_id")?),
        route_id: RouteId(fields.id("route_id")?),
        integration_id: IntegrationId(fields.id("integration_id")?),
        queue: fields.one_of("queue", &Queue::ALL, Queue::as_str)?,
        state: fields.one_of("state", &JobState::ALL, JobState::as_str)?,
        attempts: fields.small_number("attempts")?,
        run_at: fields.time("run_at")?,
        created_at: fields.time("created_at")?,
        finished_at: fields.time_option("finished_at")?,
        origin_at: fields.time_option("origin_at")?,
        payload: fields.payload("payload")?,
        trace: fields.text_option("trace")?,
        attempt_trace: fields.text_option("attempt_trace")?,
        last_error: fields.get("last_error")?,
    })
}

fn attempt(row: &PgRow) -> Result<Attempt> {
    let fields = Fields::new(row, "an attempt");
    Ok(Attempt {
        job_id: JobId(fields.id("job_id")?),
        attempt: fields.small_number("attempt")?,
        started_at: fields.time("started_at")?,
        finished_at: fields.time("finished_at")?,
        error: match fields.get::<Option<&str>>("error")? {
            Some(_) => Some(fields.one_of("error", &ErrorKind::ALL, ErrorKind::as_str)?),
            None => None,
        },
        http_status: match fields.get::<Option<i32>>("http_status")? {
            Some(_) => Some(fields.small_number("http_status")?),
            None => None,
        },
        detail: fields.get("detail")?,
    })
}
