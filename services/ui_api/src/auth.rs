//! Who calls the API, and what they may see. Guards stand before whole groups of routes, so that no route can forget them.

use std::sync::Arc;

use axum::RequestPartsExt as _;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use pulse_domain::credential::{ApiToken, Role, TokenHash};
use pulse_domain::ids::TenantId;

use crate::api::Api;
use crate::metrics::AuthFailure;
use crate::problem::{Kind, Problem};

/// The longest token that is looked up, in bytes.
const TOKEN_MAX_BYTES: usize = 512;

/// Whoever holds the token of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Arc<ApiToken>);

impl Caller {
    /// The token's name: whom an acknowledgement is by.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }
}

/// A tenant that the caller may act on.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) tenant_id: TenantId,
    pub(crate) caller: Caller,
}

/// Only behind [`guard_tenant`]: elsewhere it fails, so that an unguarded route serves nobody.
impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Lets operators through.
pub(crate) async fn guard_operator(State(api): State<Arc<Api>>, request: Request, next: Next) -> Result<Response, Problem> {
    let caller = authenticate(&api, request.headers()).await?;
    if caller.0.role != Role::Operator {
        api.metrics.auth_failed(AuthFailure::Forbidden);
        return Err(Problem::new(Kind::Forbidden, "only an operator may do this"));
    }
    Ok(next.run(request).await)
}

/// Lets a tenant's own callers and operators through, viewers only to read. To others the tenant does not exist.
pub(crate) async fn guard_tenant(State(api): State<Arc<Api>>, request: Request, next: Next) -> Result<Response, Problem> {
    let caller = authenticate(&api, request.headers()).await?;
    let (mut parts, body) = request.into_parts();
    let params = parts.extract::<RawPathParams>().await.map_err(|_| no_tenant())?;
    let named = params.iter().find(|(name, _)| *name == "tenant_id").map_or("", |(_, value)| value);
    let tenant_id = TenantId::parse(named).map_err(|_| no_tenant())?;
    if caller.0.role == Role::Operator {
        api.store.tenant(&tenant_id).await?.ok_or_else(no_tenant)?;
    } else if caller.0.tenant_id.as_ref() != Some(&tenant_id) {
        api.metrics.auth_failed(AuthFailure::OtherTenant);
        return Err(no_tenant());
    }
    if caller.0.role == Role::Viewer && !matches!(parts.method, Method::GET | Method::HEAD) {
        api.metrics.auth_failed(AuthFailure::Forbidden);
        return Err(Problem::new(Kind::Forbidden, "a viewer may only read"));
    }
    parts.extensions.insert(Scope { tenant_id, caller });
    Ok(next.run(Request::from_parts(parts, body)).await)
}

fn no_tenant() -> Problem {
    Problem::not_found("tenant")
}

/// The caller by their bearer token. It is looked up each time, so that a token that was deleted opens nothing from then on.
async fn authenticate(api: &Api, headers: &HeaderMap) -> Result<Caller, Problem> {
    let refuse = |reason, detail| {
        api.metrics.auth_failed(reason);
        Err(Problem::new(Kind::Unauthenticated, detail))
    };
    let Some(secret) = bearer(headers) else {
        return refuse(AuthFailure::BearerMissing, "send the header `Authorization: Bearer <token>`");
    };
    let known = if secret.len() <= TOKEN_MAX_BYTES { api.store.token(&TokenHash::of(secret)).await? } else { None };
    match known {
        Some(token) => Ok(Caller(Arc::new(token))),
        None => refuse(AuthFailure::BearerInvalid, "the token is not known, or no longer"),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_found() {
        let of = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, http::HeaderValue::from_static(value))]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc ").as_deref(), Some("abc"));
        for not in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(of(not), None, "{not:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
