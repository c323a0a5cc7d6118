//! An error as HTTP clients see it: a problem document of RFC 9457.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The wait that clients are told after a 503, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 2;

/// What kind of error it is: the HTTP status, a stable code for programs, and a title for people.
pub type Kind = (StatusCode, &'static str, &'static str);

/// What is not there now may be there soon.
pub const UNAVAILABLE: Kind = (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Not available now");

/// A problem document of RFC 9457.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Problem))]
pub struct Document<'a> {
    /// `urn:pulse:problem:` and the code in lower case with hyphens
    r#type: String,
    /// What kind of problem it is
    title: &'static str,
    /// The HTTP status
    status: u16,
    /// Stable, for programs: NOT_FOUND, RATE_LIMITED, …
    code: &'static str,
    /// What is wrong here, and what would be right
    detail: &'a str,
}

impl<'a> Document<'a> {
    /// A document of one kind; `detail` says what is wrong here, and what would be right.
    pub fn new((status, code, title): Kind, detail: &'a str) -> Self {
        let r#type = format!("urn:pulse:problem:{}", code.to_ascii_lowercase().replace('_', "-"));
        Self { r#type, title, status: status.as_u16(), code, detail }
    }
}

impl IntoResponse for Document<'_> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
