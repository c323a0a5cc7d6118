//! Jobs: deliveries under way, done and given up.

use std::sync::Arc;

use axum::extract::State;
use pulse_domain::ids::JobId;
use pulse_domain::job::{Attempt, Job};
use pulse_store::JobFilter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::query::JobQuery;
use crate::auth::Scope;
use crate::extract::{Filter, Ids};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::{Kind, Problem};

#[derive(Debug, Deserialize)]
pub(super) struct JobPath {
    job_id: JobId,
}

/// A job with what was tried
#[derive(Serialize, ToSchema)]
pub(super) struct JobWithAttempts {
    #[serde(flatten)]
    #[schema(value_type = schema::Job)]
    job: Job,
    /// Oldest first
    #[schema(value_type = Vec<schema::Attempt>)]
    attempt_log: Vec<Attempt>,
}

fn no_job() -> Problem {
    Problem::not_found("job")
}

/// Lists jobs, newest first
#[utoipa::path(get, path = "/jobs", tag = "jobs", operation_id = "list_jobs",
    params(JobQuery), responses((status = 200, body = PageOf<schema::Job>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<JobQuery>,
) -> Result<axum::Json<PageOf<Job>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    let filter = JobFilter { state: query.state, integration_id: query.integration_id };
    Ok(axum::Json(api.store.jobs(&scope.tenant_id, &filter, &page).await?.into()))
}

/// Gets a job with its attempts
#[utoipa::path(get, path = "/jobs/{job_id}", tag = "jobs", operation_id = "get_job",
    responses((status = 200, body = JobWithAttempts)))]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<JobPath>,
) -> Result<axum::Json<JobWithAttempts>, Problem> {
    let job = api.store.job(&scope.tenant_id, path.job_id).await?.ok_or_else(no_job)?;
    let attempt_log = api.store.attempts(&scope.tenant_id, path.job_id).await?;
    Ok(axum::Json(JobWithAttempts { job, attempt_log }))
}

/// Has a dead job delivered again, with its attempts counted from 0
#[utoipa::path(post, path = "/jobs/{job_id}/replay", tag = "jobs", operation_id = "replay_job",
    responses((status = 200, body = schema::Job), (status = 409, description = "The job is not dead")))]
pub(super) async fn replay(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<JobPath>) -> Result<axum::Json<Job>, Problem> {
    let (job, was_dead) = api.store.replay_job(&scope.tenant_id, path.job_id, api.clock.now()).await?.ok_or_else(no_job)?;
    if !was_dead {
        return Err(Problem::new(Kind::Conflict, format!("the job is {}: only a dead one can be replayed", job.state.as_str())));
    }
    Ok(axum::Json(job))
}
