//! Rules.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use pulse_domain::ids::RuleId;
use pulse_domain::rule::{Rule, RuleSpec};
use serde::Deserialize;

use super::query::PageQuery;
use super::{Api, check};
use crate::auth::Scope;
use crate::extract::{Filter, Ids, Json};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
pub(super) struct RulePath {
    rule_id: RuleId,
}

fn no_rule() -> Problem {
    Problem::not_found("rule")
}

fn check_spec(spec: &RuleSpec) -> Result<(), Problem> {
    spec.validate().map_err(|error| Problem::validation(error.to_string()))?;
    check::text("name", &spec.name, check::NAME_MAX_CHARS)?;
    check::texts("device_types", &spec.device_types, check::NAME_MAX_CHARS)?;
    check::length("site_ids", spec.site_ids.len())?;
    check::length("group_ids", spec.group_ids.len())
}

/// Makes a rule
#[utoipa::path(post, path = "/rules", tag = "rules", operation_id = "create_rule",
    request_body = schema::RuleSpec, responses((status = 201, body = schema::Rule)))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Json(spec): Json<RuleSpec>,
) -> Result<(StatusCode, axum::Json<Rule>), Problem> {
    check_spec(&spec)?;
    let now = api.clock.now();
    let rule = Rule { tenant_id: scope.tenant_id, rule_id: RuleId::generate(), spec, created_at: now, updated_at: now, error: None };
    api.store.insert_rule(&rule).await?;
    Ok((StatusCode::CREATED, axum::Json(rule)))
}

/// Lists rules, the oldest first
#[utoipa::path(get, path = "/rules", tag = "rules", operation_id = "list_rules",
    params(PageQuery), responses((status = 200, body = PageOf<schema::Rule>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<PageQuery>,
) -> Result<axum::Json<PageOf<Rule>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    Ok(axum::Json(api.store.rules(&scope.tenant_id, &page).await?.into()))
}

/// Gets a rule
#[utoipa::path(get, path = "/rules/{rule_id}", tag = "rules", operation_id = "get_rule",
    responses((status = 200, body = schema::Rule)))]
pub(super) async fn get(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<RulePath>) -> Result<axum::Json<Rule>, Problem> {
    api.store.rule(&scope.tenant_id, path.rule_id).await?.map(axum::Json).ok_or_else(no_rule)
}

/// Replaces a rule; one that is now disabled has its open alerts closed
#[utoipa::path(put, path = "/rules/{rule_id}", tag = "rules", operation_id = "replace_rule",
    request_body = schema::RuleSpec, responses((status = 200, body = schema::Rule)))]
pub(super) async fn replace(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<RulePath>,
    Json(spec): Json<RuleSpec>,
) -> Result<axum::Json<Rule>, Problem> {
    check_spec(&spec)?;
    let old = api.store.rule(&scope.tenant_id, path.rule_id).await?.ok_or_else(no_rule)?;
    let rule = Rule { spec, updated_at: api.clock.now(), error: None, ..old };
    if api.store.update_rule(&rule, &super::cause()).await? { Ok(axum::Json(rule)) } else { Err(no_rule()) }
}

/// Deletes a rule and closes its open alerts
#[utoipa::path(delete, path = "/rules/{rule_id}", tag = "rules", operation_id = "delete_rule", responses((status = 204)))]
pub(super) async fn delete(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<RulePath>) -> Result<StatusCode, Problem> {
    let deleted = api.store.delete_rule(&scope.tenant_id, path.rule_id, api.clock.now(), &super::cause()).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(no_rule()) }
}
