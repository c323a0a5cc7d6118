//! Escalation policies.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use pulse_domain::escalation::{Policy, PolicySpec};
use pulse_domain::ids::PolicyId;
use serde::Deserialize;

use super::query::PageQuery;
use super::{Api, check};
use crate::auth::Scope;
use crate::extract::{Filter, Ids, Json};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
pub(super) struct PolicyPath {
    policy_id: PolicyId,
}

/// Makes a policy
#[utoipa::path(post, path = "/escalation-policies", tag = "escalation policies", operation_id = "create_policy",
    request_body = schema::PolicySpec, responses((status = 201, body = schema::Policy)))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Json(spec): Json<PolicySpec>,
) -> Result<(StatusCode, axum::Json<Policy>), Problem> {
    spec.validate().map_err(|error| Problem::validation(error.to_string()))?;
    check::text("name", &spec.name, check::NAME_MAX_CHARS)?;
    let policy = Policy { tenant_id: scope.tenant_id, policy_id: PolicyId::generate(), spec, created_at: api.clock.now() };
    api.store.insert_policy(&policy).await?;
    Ok((StatusCode::CREATED, axum::Json(policy)))
}

/// Lists policies, the oldest first
#[utoipa::path(get, path = "/escalation-policies", tag = "escalation policies", operation_id = "list_policies",
    params(PageQuery), responses((status = 200, body = PageOf<schema::Policy>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<PageQuery>,
) -> Result<axum::Json<PageOf<Policy>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    Ok(axum::Json(api.store.policies(&scope.tenant_id, &page).await?.into()))
}

/// Deletes a policy
#[utoipa::path(delete, path = "/escalation-policies/{policy_id}", tag = "escalation policies", operation_id = "delete_policy",
    responses((status = 204)))]
pub(super) async fn delete(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<PolicyPath>) -> Result<StatusCode, Problem> {
    let deleted = api.store.delete_policy(&scope.tenant_id, path.policy_id).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("escalation policy")) }
}
