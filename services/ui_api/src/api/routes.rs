//! Routes: which events go to which integration.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use pulse_domain::ids::RouteId;
use pulse_domain::route::{Route, RouteSpec};
use serde::Deserialize;

use super::query::PageQuery;
use super::{Api, check};
use crate::auth::Scope;
use crate::extract::{Filter, Ids, Json};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::Problem;

/// The longest prefix of a device's id, in characters.
const PREFIX_MAX_CHARS: usize = 128;

#[derive(Debug, Deserialize)]
pub(super) struct RoutePath {
    route_id: RouteId,
}

fn no_route() -> Problem {
    Problem::not_found("route")
}

fn check_spec(spec: &RouteSpec) -> Result<(), Problem> {
    check::text("name", &spec.name, check::NAME_MAX_CHARS)?;
    check::texts("device_prefixes", &spec.device_prefixes, PREFIX_MAX_CHARS)?;
    check::length("site_ids", spec.site_ids.len())?;
    check::length("deliver_on", spec.deliver_on.len())?;
    check::length("alert_types", spec.alert_types.len())
}

/// Makes a route to an integration of the same tenant
#[utoipa::path(post, path = "/routes", tag = "routes", operation_id = "create_route",
    request_body = schema::RouteSpec, responses((status = 201, body = schema::Route)))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Json(spec): Json<RouteSpec>,
) -> Result<(StatusCode, axum::Json<Route>), Problem> {
    check_spec(&spec)?;
    let route = Route { tenant_id: scope.tenant_id, route_id: RouteId::generate(), spec, created_at: api.clock.now() };
    api.store.insert_route(&route).await?;
    Ok((StatusCode::CREATED, axum::Json(route)))
}

/// Lists routes, the oldest first
#[utoipa::path(get, path = "/routes", tag = "routes", operation_id = "list_routes",
    params(PageQuery), responses((status = 200, body = PageOf<schema::Route>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<PageQuery>,
) -> Result<axum::Json<PageOf<Route>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    Ok(axum::Json(api.store.routes(&scope.tenant_id, &page).await?.into()))
}

/// Gets a route
#[utoipa::path(get, path = "/routes/{route_id}", tag = "routes", operation_id = "get_route",
    responses((status = 200, body = schema::Route)))]
pub(super) async fn get(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<RoutePath>) -> Result<axum::Json<Route>, Problem> {
    api.store.route(&scope.tenant_id, path.route_id).await?.map(axum::Json).ok_or_else(no_route)
}

/// Replaces a route
#[utoipa::path(put, path = "/routes/{route_id}", tag = "routes", operation_id = "replace_route",
    request_body = schema::RouteSpec, responses((status = 200, body = schema::Route)))]
pub(super) async fn replace(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<RoutePath>,
    Json(spec): Json<RouteSpec>,
) -> Result<axum::Json<Route>, Problem> {
    check_spec(&spec)?;
    let old = api.store.route(&scope.tenant_id, path.route_id).await?.ok_or_else(no_route)?;
    let route = Route { spec, ..old };
    if api.store.update_route(&route).await? { Ok(axum::Json(route)) } else { Err(no_route()) }
}

/// Deletes a route
#[utoipa::path(delete, path = "/routes/{route_id}", tag = "routes", operation_id = "delete_route", responses((status = 204)))]
pub(super) async fn delete(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<RoutePath>) -> Result<StatusCode, Problem> {
    let deleted = api.store.delete_route(&scope.tenant_id, path.route_id).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(no_route()) }
}
