//! All routes as one router, and what stands before every one of them.

use std::sync::{Arc, Mutex};

use axum::middleware::{from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::header;
use pulse_runtime::Deps;
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{self, Api};
use crate::ingest::{self, Ingest};
use crate::metrics::{HttpMetrics, Metrics};
use crate::request_telemetry::{RequestTelemetry, observe};
use crate::settings::Settings;
use crate::{linger, openapi, problem};

const DOCUMENT_PATH: &str = "/api/openapi.json";
/// The answers whose series show 0 from the first scrape on.
const EXPECTED: [(&str, &str, u16); 3] = [
    ("POST", "/ingest/v1/batch", 202),
    ("POST", "/ingest/v1/tenant/{tenant_id}/device/{device_id}/heartbeat", 202),
    ("POST", "/ingest/v1/tenant/{tenant_id}/device/{device_id}/telemetry", 202),
];

/// The service's own routes; those for its operators (/metrics, /health, /ready) are the runtime's.
pub(crate) fn router(deps: &Deps, settings: &Settings, metrics: &Arc<Metrics>, ingest: &Arc<Ingest>) -> Router {
    let api = Arc::new(Api {
        store: Arc::clone(&deps.store),
        clock: deps.clock.clone(),
        metrics: Arc::clone(metrics),
        ingest: Arc::clone(ingest),
        body_max_bytes: settings.api_body_max_bytes,
    });
    let doors = ingest::router().with_state(Arc::clone(ingest));
    let (routes, document) = api::router(&api).with_state(api).merge(doors).split_for_parts();
    let document = openapi::complete(document);
    let templates = document.paths.paths.keys().cloned().chain([DOCUMENT_PATH.to_owned(), "/".to_owned()]);
    let metrics = HttpMetrics::new(&deps.telemetry, templates, &EXPECTED);
    let telemetry = RequestTelemetry { metrics, tracer: deps.telemetry.tracer(), outage: Mutex::default() };
    let document = document.to_json().map(Bytes::from).ok();
    routes
        .route("/", get(start))
        .route(DOCUMENT_PATH, get(move || async move { serve_document(document) }))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(map_request(async |request| linger::linger(request)))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(Arc::new(telemetry), observe))
}

fn serve_document(document: Option<Bytes>) -> Response {
    match document {
        Some(document) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        None => problem::Problem::internal().into_response(),
    }
}

/// Says what is here to someone who looks.
async fn start() -> Json<serde_json::Value> {
    Json(serde_json::json!({
        "service": "pulse",
        "version": env!("CARGO_PKG_VERSION"),
        "api": DOCUMENT_PATH,
        "metrics": "/metrics",
        "health": "/health",
        "ready": "/ready",
    }))
}
