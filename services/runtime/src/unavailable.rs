//! Answers in place of a service that waits for its database: its process lives, says what it waits for, and tells clients to come back.

use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pulse_telemetry::Telemetry;

use crate::problem::{Document, RETRY_AFTER_SECONDS, UNAVAILABLE};
use crate::{Error, Listeners, Shutdown, serve};

/// How long an answer under way may take once the wait is over; each is a few bytes.
const DRAIN: Duration = Duration::from_secs(1);
/// What clients are told.
const DETAIL: &str = "the service waits for its database, try again";

/// Serves the admin routes, and 503 with Retry-After elsewhere, until `over`.
///
/// # Errors
/// When a client's connection was cut because it lasted past the end of the wait.
pub async fn serve_unavailable(listeners: Listeners, telemetry: &Telemetry, over: Shutdown) -> Result<(), Error> {
    serve(listeners, telemetry, Router::new().fallback(unavailable), over, DRAIN).await
}

async fn unavailable() -> Response {
    ([(header::RETRY_AFTER, RETRY_AFTER_SECONDS.to_string())], Document::new(UNAVAILABLE, DETAIL)).into_response()
}
