//! What handlers take from a request: each failure is a problem document that says what would be right.

use axum::RequestPartsExt as _;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::Api;
use crate::body::{self, BodyError, kib};
use crate::problem::{Kind, Problem};
use std::sync::Arc;

/// The body, as JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(content_type) {
            return Err(Problem::new(Kind::UnsupportedMediaType, "send JSON with the header `Content-Type: application/json`"));
        }
        let max_bytes = api.body_max_bytes;
        let bytes = body::read(request.into_body(), max_bytes).await.map_err(|error| match error {
            BodyError::TooLarge => Problem::new(Kind::PayloadTooLarge, format!("a body has at most {}", kib(max_bytes))),
            BodyError::TooSlow => Problem::new(Kind::Timeout, "send the body faster"),
            BodyError::Broken => Problem::new(Kind::MalformedJson, "the body ended before it was whole"),
        })?;
        json(&bytes).map(Self)
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads a JSON object: no body of this API is anything else.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A list of the right values in the right order would pass for an object.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::validation("the body is a list: it must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::validation(error.to_string()),
        _ if bytes.is_empty() => Problem::new(Kind::MalformedJson, "the body is empty"),
        _ => Problem::new(Kind::MalformedJson, error.to_string()),
    })
}

/// The query; a type that denies unknown fields keeps a misspelt filter from being passed over.
#[derive(Debug)]
pub(crate) struct Filter<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Filter<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|axum::extract::Query(query)| Self(query)).map_err(|rejection| {
            let mut error: &dyn std::error::Error = &rejection;
            while let Some(source) = error.source() {
                error = source;
            }
            Problem::new(Kind::InvalidQuery, error.to_string())
        })
    }
}

/// The ids in the path. One that cannot be an id names nothing.
#[derive(Debug)]
pub(crate) struct Ids<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequestParts<S> for Ids<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let path = parts.extract::<axum::extract::Path<T>>().await;
        path.map(|axum::extract::Path(path)| Self(path))
            .map_err(|rejection| Problem::new(Kind::NotFound, format!("there is no such thing: {}", rejection.body_text())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/json", "application/x-www-form-urlencoded", "json"] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn malformed_and_misfit_are_told_apart() {
        for (body, says) in [
            ("", "MalformedJson"),
            ("{", "MalformedJson"),
            ("{\"a\":NaN}", "MalformedJson"),
            ("[1]", "Validation"),
            ("\"x\"", "Validation"),
        ] {
            let problem = json::<std::collections::BTreeMap<String, u32>>(body.as_bytes()).unwrap_err();
            assert!(format!("{problem:?}").contains(says), "{body}: {problem:?}");
        }
    }
}
