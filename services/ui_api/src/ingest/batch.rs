//! The door for many messages, of any devices: `POST /ingest/v1/batch`. Each is judged by itself; those that are good become durable in one
//! write, which the answer waits for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode};
use pulse_domain::ids::DeviceKey;
use pulse_domain::reading::RejectReason;
use pulse_domain::trace::TraceParent;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Ingest;
use super::admission::{self, Refusal};
use super::credentials::{KeyRef, Known};
use super::parse::{self, Batch, Envelope};
use super::queue::Draft;
use crate::body::{self, BodyError};
use crate::openapi::schema;
use crate::problem::{Kind, Problem};

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    accepted: usize,
    rejected: usize,
    /// One for each message, in the order of the batch
    results: Vec<Outcome>,
}

/// What became of one message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// Its place in the batch, from 0
    index: usize,
    /// `accepted` or `rejected`
    status: &'static str,
    /// Why it was rejected, for programs
    reason: Option<&'static str>,
    /// None where the message does not say
    device_id: Option<String>,
    /// Why it was rejected, for people
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Takes many messages in; those it accepts are durable when this answers 202
#[utoipa::path(
    post, path = "/ingest/v1/batch", tag = "ingest", operation_id = "ingest_batch",
    request_body = schema::Batch, responses((status = 202, body = Summary)), security(())
)]
pub(crate) async fn batch(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    match take(&ingest, request).await {
        Ok(summary) => (StatusCode::ACCEPTED, Json(summary)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn take(ingest: &Ingest, request: Request) -> Result<Summary, Problem> {
    let (parts, body) = request.into_parts();
    let trace = super::trace(&parts.headers);
    let body = body::read(body, ingest.body_max_bytes).await.map_err(|error| {
        let refusal = super::unread(error, ingest.body_max_bytes);
        refusal.count(&ingest.metrics);
        if error == BodyError::TooSlow { Problem::new(Kind::Timeout, refusal.detail) } else { refusal.into() }
    })?;
    let batch: Batch<'_> = parse::json(&body).map_err(|invalid| {
        let refusal = Refusal::from(invalid);
        refusal.count(&ingest.metrics);
        Problem::from(refusal)
    })?;
    let count = batch.messages.len();
    if count > ingest.batch_max {
        Refusal::new(RejectReason::PayloadTooLarge, "").count(&ingest.metrics);
        let detail = format!("a batch has at most {} messages, this one has {count}: send it in parts", ingest.batch_max);
        return Err(Problem::new(Kind::TooManyMessages, detail));
    }
    let judged = judge_all(ingest, &batch.messages, trace.as_ref()).await;
    let mut drafts = Vec::with_capacity(count);
    let mut results = Vec::with_capacity(count);
    for (index, message) in judged.into_iter().enumerate() {
        let (reason, detail) = match message.result {
            Ok(draft) => {
                drafts.push(draft);
                (None, None)
            }
            Err(refusal) => {
                refusal.count(&ingest.metrics);
                (Some(refusal.reason.as_str()), Some(refusal.detail.into_owned()))
            }
        };
        let status = if reason.is_none() { "accepted" } else { "rejected" };
        results.push(Outcome { index, status, reason, device_id: message.device_id, detail });
    }
    let accepted = drafts.len();
    if accepted > 0 {
        ingest.writer.write(drafts).await.map_err(super::single::not_durable)?;
    }
    Ok(Summary { accepted, rejected: count - accepted, results })
}

/// A message with its verdict.
struct Judged {
    device_id: Option<String>,
    result: Result<Draft, Refusal>,
}

/// A message whose sender is named but not yet known to be right.
struct Named<'a> {
    envelope: Envelope<'a>,
    key: DeviceKey,
    raw: &'a RawValue,
    known: Option<Known>,
}

/// All that is not in memory is asked of the store at once.
async fn judge_all(ingest: &Ingest, messages: &[&RawValue], trace: Option<&TraceParent>) -> Vec<Judged> {
    let mut named: Vec<Result<Named<'_>, (Option<String>, Refusal)>> = messages.iter().map(|raw| name(ingest, raw)).collect();
    let mut unknown: Vec<&mut Named<'_>> = named.iter_mut().flatten().filter(|message| message.known.is_none()).collect();
    let mut unavailable = false;
    if !unknown.is_empty() {
        match ingest.load(unknown.iter().map(|message| message.key.clone()).collect()).await {
            Ok(loaded) => unknown.iter_mut().zip(loaded).for_each(|(message, known)| message.known = Some(known)),
            Err(_) => unavailable = true,
        }
    }
    let judge = |message: Named<'_>| {
        let device_id = Some(message.envelope.device_id.0.clone().into_owned());
        let result = match message.known {
            None if unavailable => Err(Refusal::new(RejectReason::Unavailable, super::CREDENTIALS_UNAVAILABLE)),
            known => judge_one(ingest, &message.envelope, message.raw, known.flatten(), trace),
        };
        Judged { device_id, result }
    };
    named.into_iter().map(|message| message.map_or_else(|(device_id, refusal)| Judged { device_id, result: Err(refusal) }, judge)).collect()
}

fn name<'a>(ingest: &Ingest, raw: &'a RawValue) -> Result<Named<'a>, (Option<String>, Refusal)> {
    let envelope: Envelope<'a> = parse::json(raw.get().as_bytes()).map_err(|invalid| (None, invalid.into()))?;
    let named = KeyRef { tenant_id: &envelope.tenant_id.0, device_id: &envelope.device_id.0 };
    match admission::key(named) {
        Ok(key) => Ok(Named { known: ingest.credentials.cached(named), key, raw, envelope }),
        Err(refusal) => Err((Some(envelope.device_id.0.into_owned()), refusal)),
    }
}

fn judge_one(
    ingest: &Ingest,
    envelope: &Envelope<'_>,
    raw: &RawValue,
    known: Known,
    trace: Option<&TraceParent>,
) -> Result<Draft, Refusal> {
    let presented = envelope.provision_token.as_ref().map(|token| &*token.0);
    let token = admission::token(presented, "provision_token is missing: it holds the device's token")?;
    let device = admission::admit(known, token, &ingest.limits)?;
    admission::draft(device, envelope.msg_type, raw.get().as_bytes(), trace.cloned())
}
