//! The door for one message: `POST /ingest/v1/tenant/{tenant_id}/device/{device_id}/{telemetry|heartbeat}`.

use std::sync::Arc;

use axum::extract::{RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestPartsExt as _};
use http::StatusCode;
use pulse_domain::reading::{ReadingKind, RejectReason};
use pulse_runtime::spans::current_trace;
use serde::Serialize;
use utoipa::ToSchema;

use super::credentials::{KeyRef, KnownDevice};
use super::doors::{Ingest, not_durable, unread};
use super::message_check::{self, Refusal};
use super::queue::Draft;
use crate::body;
use crate::openapi::schema;
use crate::problem::Problem;

/// The header with the device's token.
const TOKEN_HEADER: &str = "x-provision-token";

/// The answer to a message that is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted<'a> {
    /// Always `accepted`
    status: &'static str,
    device_id: &'a str,
    /// As the device sent it
    seq: Option<i64>,
}

/// Takes a message with metrics in; it is durable when this answers 202
#[utoipa::path(
    post, path = "/ingest/v1/tenant/{tenant_id}/device/{device_id}/telemetry", tag = "ingest", operation_id = "ingest_telemetry",
    request_body = schema::Message, responses((status = 202, body = Accepted)), security(("device" = []))
)]
pub(crate) async fn telemetry(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(&ingest, ReadingKind::Telemetry, request).await
}

/// Takes a sign of life in; it is durable when this answers 202. Metrics it carries count all the same.
#[utoipa::path(
    post, path = "/ingest/v1/tenant/{tenant_id}/device/{device_id}/heartbeat", tag = "ingest", operation_id = "ingest_heartbeat",
    request_body = schema::Message, responses((status = 202, body = Accepted)), security(("device" = []))
)]
pub(crate) async fn heartbeat(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(&ingest, ReadingKind::Heartbeat, request).await
}

async fn answer(ingest: &Ingest, kind: ReadingKind, request: Request) -> Response {
    let (device, seq) = match take(ingest, kind, request).await {
        Ok(taken) => taken,
        Err(problem) => return problem.into_response(),
    };
    let accepted = Accepted { status: "accepted", device_id: device.key.device_id.as_str(), seq };
    (StatusCode::ACCEPTED, Json(accepted)).into_response()
}

async fn take(ingest: &Ingest, kind: ReadingKind, request: Request) -> Result<(Arc<KnownDevice>, Option<i64>), Problem> {
    let judged = judge(ingest, kind, request).await;
    let draft = judged.inspect_err(|refusal| refusal.count(&ingest.metrics))?;
    let taken = (Arc::clone(&draft.device), draft.seq);
    ingest.writer.write(vec![draft]).await.map_err(not_durable)?;
    Ok(taken)
}

/// Judges the sender before the body is read.
async fn judge(ingest: &Ingest, kind: ReadingKind, request: Request) -> Result<Draft, Refusal> {
    let (mut parts, body) = request.into_parts();
    let params = parts.extract::<RawPathParams>().await;
    let params = params.map_err(|_| Refusal::new(RejectReason::Invalid, "the path is not UTF-8"))?;
    let param = |name| params.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value);
    let named = KeyRef { tenant_id: param("tenant_id"), device_id: param("device_id") };
    let presented = parts.headers.get(TOKEN_HEADER).map(http::HeaderValue::to_str).transpose();
    let presented = presented.map_err(|_| Refusal::new(RejectReason::TokenInvalid, "the header X-Provision-Token is not plain text"))?;
    let token = message_check::token(presented, "the header X-Provision-Token is missing: it holds the device's token")?;
    let known = match ingest.credentials.cached(named) {
        Some(known) => known,
        None => ingest.load(vec![message_check::key(named)?]).await?.pop().flatten(),
    };
    let device = message_check::admit(known, token, &ingest.limits)?;
    let max_bytes = ingest.body_max_bytes;
    let body = body::read(body, max_bytes).await.map_err(|error| unread(error, max_bytes).of(&device))?;
    message_check::draft(device, kind, &body, current_trace())
}
