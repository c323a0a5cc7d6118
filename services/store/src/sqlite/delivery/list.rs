//! Jobs and attempts as people see them.

use pulse_domain::ids::{EventId, IntegrationId, JobId, RouteId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, ErrorKind, Job, JobState};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, SqliteConnection};
use uuid::Uuid;

use crate::paging::{self, List};
use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, blob};
use crate::{JobFilter, Page, PageRequest, Result};

/// The job with this id, within a transaction or without.
pub(super) async fn find(connection: &mut SqliteConnection, tenant_id: &TenantId, job_id: JobId) -> Result<Option<Job>> {
    let rows = sqlx::query(
        "SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
            finished_at, origin_at, payload, trace, attempt_trace, last_error
        FROM jobs WHERE tenant_id = ?1 AND job_id = ?2",
    )
    .bind(tenant_id.as_str())
    .bind(blob(&job_id.0))
    .fetch_all(connection)
    .await?;
    rows.first().map(job).transpose()
}

pub(super) async fn page(store: &SqliteStore, tenant_id: &TenantId, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
    let mut query = QueryBuilder::new(
        "SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at,
            finished_at, origin_at, payload, trace, attempt_trace, last_error
        FROM jobs WHERE tenant_id = ",
    );
    query.push_bind(tenant_id.as_str().to_owned());
    // Also at the start of the list: without a bound, SQLite would rather walk by all jobs than use an index that is made for this.
    let before = paging::after::<Uuid>(List::Jobs, page)?.unwrap_or(Uuid::max());
    query.push(" AND job_id < ").push_bind(before.as_bytes().to_vec());
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state.as_str());
        if state != JobState::Delivered {
            // Lets the index of undelivered jobs answer: the few are not looked for among the many.
            query.push(" AND state <> 'DELIVERED'");
        }
    }
    if let Some(integration_id) = filter.integration_id {
        query.push(" AND integration_id = ").push_bind(integration_id.0.as_bytes().to_vec());
    }
    query.push(" ORDER BY job_id DESC LIMIT ").push_bind(paging::rows_wanted(page));
    let rows = query.build().fetch_all(&mut *store.reader().await?).await?;
    let items = rows.iter().map(job).collect::<Result<_>>()?;
    Ok(paging::page(List::Jobs, page, items, |job: &Job| job.job_id.0))
}

pub(super) async fn attempts(store: &SqliteStore, tenant_id: &TenantId, job_id: JobId) -> Result<Vec<Attempt>> {
    let rows = sqlx::query(
        "SELECT job_id, attempt, started_at, finished_at, error, http_status, detail
        FROM attempts WHERE tenant_id = ?1 AND job_id = ?2 ORDER BY started_at, attempt",
    )
    .bind(tenant_id.as_str())
    .bind(blob(&job_id.0))
    .fetch_all(&mut *store.reader().await?)
    .await?;
    rows.iter().map(attempt).collect()
}

pub(super) fn job(row: &SqliteRow) -> Result<Job> {
    let fields = Fields::new(row, "a job");
    Ok(Job {
        tenant_id: fields.text("tenant_id")?,
        job_id: JobId(fields.id("job_id")?),
        event_id: EventId(fields.id("event_id")?),
        route_id: RouteId(fields.id("route_id")?),
        integration_id: IntegrationId(fields.id("integration_id")?),
        queue: fields.one_of("queue", &Queue::ALL, Queue::as_str)?,
        state: fields.one_of("state", &JobState::ALL, JobState::as_str)?,
        attempts: fields.number("attempts")?,
        run_at: fields.time("run_at")?,
        created_at: fields.time("created_at")?,
        finished_at: fields.time_option("finished_at")?,
        origin_at: fields.time_option("origin_at")?,
        payload: fields.json("payload")?,
        trace: fields.text_option("trace")?,
        attempt_trace: fields.text_option("attempt_trace")?,
        last_error: fields.get("last_error")?,
    })
}

fn attempt(row: &SqliteRow) -> Result<Attempt> {
    let fields = Fields::new(row, "an attempt");
    Ok(Attempt {
        job_id: JobId(fields.id("job_id")?),
        attempt: fields.number("attempt")?,
        started_at: fields.time("started_at")?,
        finished_at: fields.time("finished_at")?,
        error: match fields.get::<Option<String>>("error")? {
            Some(_) => Some(fields.one_of("error", &ErrorKind::ALL, ErrorKind::as_str)?),
            None => None,
        },
        http_status: fields.get("http_status")?,
        detail: fields.get("detail")?,
    })
}
