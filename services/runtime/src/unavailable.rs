//! A service that is not there yet: its process lives, says what it waits for, and tells clients to come back.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pulse_telemetry::Telemetry;
use std::time::Duration;

use crate::{Error, Listeners, Shutdown, serve};

/// What clients are told to wait before they come back, in seconds.
const RETRY_AFTER_SECONDS: u64 = 2;
/// How long an answer under way may take once the wait is over; each is a few bytes.
const DRAIN: Duration = Duration::from_secs(1);
/// As ui_api's own problem documents are.
const PROBLEM: &str = r#"{"type":"urn:pulse:problem:unavailable","title":"Not available now","status":503,"code":"UNAVAILABLE","detail":"the service waits for its database, try again"}"#;

/// Serves the admin routes, and 503 with Retry-After elsewhere, until `over`.
///
/// # Errors
/// When a client held its connection past the end of the wait and was cut.
pub async fn serve_unavailable(listeners: Listeners, telemetry: &Telemetry, over: Shutdown) -> Result<(), Error> {
    serve(listeners, telemetry, Router::new().fallback(unavailable), over, DRAIN).await
}

async fn unavailable() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/problem+json".to_owned()), (header::RETRY_AFTER, RETRY_AFTER_SECONDS.to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, headers, PROBLEM).into_response()
}
