//! `/metrics`, `/health` and `/ready`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::export::prometheus::ScrapeError;
use crate::telemetry::Telemetry;

/// The format that Prometheus has always taken; it accepts it whatever it asks for.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long a scrape may take, waiting for another one included. Prometheus's own default is 10 s.
const SCRAPE_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
struct Admin {
    telemetry: Telemetry,
    /// One scrape at a time, so that a callback that blocks costs one thread and not one a scrape.
    scrapes: Arc<Semaphore>,
}

impl Telemetry {
    /// `/metrics` (text 0.0.4; 503 with the reason when there is nothing to show), `/health` (alive) and `/ready` (503 with the reasons
    /// when a check fails or a loop does not move).
    pub fn router(&self) -> axum::Router {
        axum::Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(health))
            .route("/ready", get(ready))
            .with_state(Admin { telemetry: self.clone(), scrapes: Arc::new(Semaphore::new(1)) })
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match tokio::time::timeout(SCRAPE_MAX, scrape(admin)).await.unwrap_or(Err(ScrapeError::TooLong)) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// Collecting takes a few milliseconds, or as long as callbacks take, so it is not for a worker of the runtime.
async fn scrape(admin: Admin) -> Result<String, ScrapeError> {
    let turn = admin.scrapes.acquire_owned().await;
    let text = tokio::task::spawn_blocking(move || {
        let text = admin.telemetry.render();
        drop(turn);
        text
    });
    text.await.unwrap_or(Err(ScrapeError::Panicked))
}

/// Alive: the process answers. What it needs is `/ready`'s.
async fn health(State(admin): State<Admin>) -> Response {
    Json(json!({ "status": "ok", "service": admin.telemetry.service() })).into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    let report = admin.telemetry.readiness().report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report.json(admin.telemetry.service()))).into_response()
}
