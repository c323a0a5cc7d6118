//! Integrations: where messages go.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use http::StatusCode;
use pulse_domain::ids::{IntegrationId, TenantId};
use pulse_domain::integration::Integration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::destination::{self, DestinationBody, DestinationView};
use super::query::PageQuery;
use super::{Api, check};
use crate::auth::Scope;
use crate::extract::{Filter, Ids, Json};
use crate::page::{self, PageOf};
use crate::problem::Problem;

/// An integration to be, or what it is to become
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IntegrationBody {
    name: String,
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    destination: DestinationBody,
}

fn yes() -> bool {
    true
}

/// An integration without its secrets
#[derive(Serialize, ToSchema)]
pub(super) struct IntegrationView {
    #[schema(value_type = String)]
    tenant_id: TenantId,
    #[schema(value_type = uuid::Uuid)]
    integration_id: IntegrationId,
    name: String,
    enabled: bool,
    destination: DestinationView,
    created_at: DateTime<Utc>,
    /// Only where one was made, and only this once
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

impl IntegrationView {
    fn new(integration: Integration, signing_secret: Option<String>) -> Self {
        Self {
            destination: DestinationView::from(&integration.destination),
            tenant_id: integration.tenant_id,
            integration_id: integration.integration_id,
            name: integration.name,
            enabled: integration.enabled,
            created_at: integration.created_at,
            signing_secret,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct IntegrationPath {
    integration_id: IntegrationId,
}

fn no_integration() -> Problem {
    Problem::not_found("integration")
}

/// Makes an integration
#[utoipa::path(post, path = "/integrations", tag = "integrations", operation_id = "create_integration",
    request_body = IntegrationBody, responses((status = 201, body = IntegrationView)))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Json(body): Json<IntegrationBody>,
) -> Result<(StatusCode, axum::Json<IntegrationView>), Problem> {
    check::text("name", &body.name, check::NAME_MAX_CHARS)?;
    let accepted = destination::accept(body.destination, None)?;
    let integration = Integration {
        tenant_id: scope.tenant_id,
        integration_id: IntegrationId::generate(),
        name: body.name,
        enabled: body.enabled,
        destination: accepted.destination,
        created_at: api.clock.now(),
    };
    api.store.insert_integration(&integration).await?;
    Ok((StatusCode::CREATED, axum::Json(IntegrationView::new(integration, accepted.generated))))
}

/// Lists integrations, the oldest first
#[utoipa::path(get, path = "/integrations", tag = "integrations", operation_id = "list_integrations",
    params(PageQuery), responses((status = 200, body = PageOf<IntegrationView>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<PageQuery>,
) -> Result<axum::Json<PageOf<IntegrationView>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    let integrations = api.store.integrations(&scope.tenant_id, &page).await?;
    Ok(axum::Json(PageOf::of(integrations, |integration| IntegrationView::new(integration, None))))
}

async fn find(api: &Api, scope: &Scope, path: &IntegrationPath) -> Result<Integration, Problem> {
    api.store.integration(&scope.tenant_id, path.integration_id).await?.ok_or_else(no_integration)
}

/// Gets an integration
#[utoipa::path(get, path = "/integrations/{integration_id}", tag = "integrations", operation_id = "get_integration",
    responses((status = 200, body = IntegrationView)))]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<IntegrationPath>,
) -> Result<axum::Json<IntegrationView>, Problem> {
    Ok(axum::Json(IntegrationView::new(find(&api, &scope, &path).await?, None)))
}

/// Replaces an integration; of its destination, what is left out stays
#[utoipa::path(put, path = "/integrations/{integration_id}", tag = "integrations", operation_id = "replace_integration",
    request_body = IntegrationBody, responses((status = 200, body = IntegrationView)))]
pub(super) async fn replace(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<IntegrationPath>,
    Json(body): Json<IntegrationBody>,
) -> Result<axum::Json<IntegrationView>, Problem> {
    check::text("name", &body.name, check::NAME_MAX_CHARS)?;
    let old = find(&api, &scope, &path).await?;
    let accepted = destination::accept(body.destination, Some(&old.destination))?;
    let integration = Integration { name: body.name, enabled: body.enabled, destination: accepted.destination, ..old };
    if !api.store.update_integration(&integration).await? {
        return Err(no_integration());
    }
    Ok(axum::Json(IntegrationView::new(integration, accepted.generated)))
}

/// Deletes an integration with its routes; its jobs that wait are dead from then on
#[utoipa::path(delete, path = "/integrations/{integration_id}", tag = "integrations", operation_id = "delete_integration",
    responses((status = 204)))]
pub(super) async fn delete(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<IntegrationPath>) -> Result<StatusCode, Problem> {
    let deleted = api.store.delete_integration(&scope.tenant_id, path.integration_id, api.clock.now()).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(no_integration()) }
}
