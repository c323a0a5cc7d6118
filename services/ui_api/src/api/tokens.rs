//! API tokens: a tenant's own, and the operators'. Only their hashes are kept, so a secret is shown once.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use pulse_domain::credential::{ApiToken, Role, SecretToken};
use pulse_domain::ids::{TenantId, TokenId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::PageQuery;
use super::{Api, check};
use crate::auth::Scope;
use crate::extract::{Filter, Ids, Json};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::Problem;

/// What a tenant's token may do
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TenantRole {
    Admin,
    Viewer,
}

/// A tenant's token to be
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// Whose it is: what they acknowledge is signed with it
    name: String,
    role: TenantRole,
}

/// An operator's token to be
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOperatorToken {
    /// Whose it is
    name: String,
}

/// A token with its secret, which is shown only this once
#[derive(Serialize, ToSchema)]
pub(super) struct TokenWithSecret {
    #[serde(flatten)]
    #[schema(value_type = schema::ApiToken)]
    token: ApiToken,
    /// To be sent as `Authorization: Bearer <secret>`
    secret: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TokenPath {
    token_id: TokenId,
}

type Created = (StatusCode, axum::Json<TokenWithSecret>);

async fn make(api: &Api, tenant_id: Option<TenantId>, role: Role, name: String) -> Result<Created, Problem> {
    check::text("name", &name, check::NAME_MAX_CHARS)?;
    let prefix = match role {
        Role::Operator => "pulse_op",
        Role::Admin => "pulse_adm",
        Role::Viewer => "pulse_view",
    };
    let secret = SecretToken::generate(prefix);
    let token = ApiToken { token_id: TokenId::generate(), tenant_id, role, name, created_at: api.clock.now() };
    api.store.insert_token(&token, &secret.hash()).await?;
    Ok((StatusCode::CREATED, axum::Json(TokenWithSecret { token, secret: secret.reveal().to_owned() })))
}

async fn show(api: &Api, tenant_id: Option<&TenantId>, query: PageQuery) -> Result<axum::Json<PageOf<ApiToken>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    Ok(axum::Json(api.store.tokens(tenant_id, &page).await?.into()))
}

async fn remove(api: &Api, tenant_id: Option<&TenantId>, token_id: TokenId) -> Result<StatusCode, Problem> {
    let deleted = api.store.delete_token(tenant_id, token_id).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("token")) }
}

/// Makes a token of the tenant; its secret is shown only in this answer
#[utoipa::path(post, path = "/tokens", tag = "tokens", operation_id = "create_token",
    request_body = NewToken, responses((status = 201, body = TokenWithSecret)))]
pub(super) async fn create(State(api): State<Arc<Api>>, scope: Scope, Json(new): Json<NewToken>) -> Result<Created, Problem> {
    let role = match new.role {
        TenantRole::Admin => Role::Admin,
        TenantRole::Viewer => Role::Viewer,
    };
    make(&api, Some(scope.tenant_id), role, new.name).await
}

/// Lists the tenant's tokens, without their secrets
#[utoipa::path(get, path = "/tokens", tag = "tokens", operation_id = "list_tokens",
    params(PageQuery), responses((status = 200, body = PageOf<schema::ApiToken>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<PageQuery>,
) -> Result<axum::Json<PageOf<ApiToken>>, Problem> {
    show(&api, Some(&scope.tenant_id), query).await
}

/// Deletes a token of the tenant; it opens nothing from then on
#[utoipa::path(delete, path = "/tokens/{token_id}", tag = "tokens", operation_id = "delete_token", responses((status = 204)))]
pub(super) async fn delete(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<TokenPath>) -> Result<StatusCode, Problem> {
    remove(&api, Some(&scope.tenant_id), path.token_id).await
}

/// Makes an operator's token; its secret is shown only in this answer
#[utoipa::path(post, path = "/tokens", tag = "tokens", operation_id = "create_operator_token",
    request_body = NewOperatorToken, responses((status = 201, body = TokenWithSecret)))]
pub(super) async fn create_operator(State(api): State<Arc<Api>>, Json(new): Json<NewOperatorToken>) -> Result<Created, Problem> {
    make(&api, None, Role::Operator, new.name).await
}

/// Lists the operators' tokens, without their secrets
#[utoipa::path(get, path = "/tokens", tag = "tokens", operation_id = "list_operator_tokens",
    params(PageQuery), responses((status = 200, body = PageOf<schema::ApiToken>)))]
pub(super) async fn list_operators(
    State(api): State<Arc<Api>>,
    Filter(query): Filter<PageQuery>,
) -> Result<axum::Json<PageOf<ApiToken>>, Problem> {
    show(&api, None, query).await
}

/// Deletes an operator's token; it opens nothing from then on
#[utoipa::path(delete, path = "/tokens/{token_id}", tag = "tokens", operation_id = "delete_operator_token", responses((status = 204)))]
pub(super) async fn delete_operator(State(api): State<Arc<Api>>, Ids(path): Ids<TokenPath>) -> Result<StatusCode, Problem> {
    remove(&api, None, path.token_id).await
}
