//! Tenants.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use pulse_domain::device::Tenant;
use pulse_domain::ids::TenantId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::query::PageQuery;
use super::{Api, check};
use crate::auth::Scope;
use crate::extract::{Filter, Json};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::Problem;

/// A tenant to be
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTenant {
    /// 1 to 128 of `A-Z a-z 0-9 . _ : -`, the first a letter or a digit
    #[schema(value_type = String)]
    tenant_id: TenantId,
    /// For people; the tenant_id where there is none
    name: Option<String>,
}

/// Makes a tenant; for operators
#[utoipa::path(post, path = "/tenants", tag = "tenants", operation_id = "create_tenant",
    request_body = NewTenant, responses((status = 201, body = schema::Tenant)))]
pub(super) async fn create(State(api): State<Arc<Api>>, Json(new): Json<NewTenant>) -> Result<(StatusCode, axum::Json<Tenant>), Problem> {
    let name = new.name.unwrap_or_else(|| new.tenant_id.to_string());
    check::text("name", &name, check::NAME_MAX_CHARS)?;
    let tenant = Tenant { tenant_id: new.tenant_id, name, created_at: api.clock.now() };
    api.store.insert_tenant(&tenant).await?;
    Ok((StatusCode::CREATED, axum::Json(tenant)))
}

/// Lists all tenants; for operators
#[utoipa::path(get, path = "/tenants", tag = "tenants", operation_id = "list_tenants",
    params(PageQuery), responses((status = 200, body = PageOf<schema::Tenant>)))]
pub(super) async fn list(State(api): State<Arc<Api>>, Filter(query): Filter<PageQuery>) -> Result<axum::Json<PageOf<Tenant>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    Ok(axum::Json(api.store.tenants(&page).await?.into()))
}

/// Gets a tenant
#[utoipa::path(get, path = "", tag = "tenants", operation_id = "get_tenant", responses((status = 200, body = schema::Tenant)))]
pub(super) async fn get(State(api): State<Arc<Api>>, scope: Scope) -> Result<axum::Json<Tenant>, Problem> {
    let tenant = api.store.tenant(&scope.tenant_id).await?;
    tenant.map(axum::Json).ok_or_else(|| Problem::not_found("tenant"))
}
