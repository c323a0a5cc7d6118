//! The door for many messages, of any devices: `POST /ingest/v1/batch`. Each is judged by itself; those that are good become durable in one
//! write, which the answer waits for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode};
use pulse_domain::ids::DeviceKey;
use pulse_domain::reading::RejectReason;
use pulse_domain::trace::TraceParent;
use pulse_runtime::spans::current_trace;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::credentials::{KeyRef, Known};
use super::doors::{CREDENTIALS_UNAVAILABLE, Ingest, not_durable, unread};
use super::message_check::{self, Refusal};
use super::parse::{self, Batch, Envelope};
use super::queue::Draft;
use crate::body;
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
    let trace = current_trace();
    let max_bytes = ingest.body_max_bytes;
    let body = body::read(request.into_body(), max_bytes).await.map_err(|error| unread(error, max_bytes));
    let body = body.inspect_err(|refusal| refusal.count(&ingest.metrics))?;
    let batch = read(&body, ingest.batch_max).inspect_err(|refusal| refusal.count(&ingest.metrics))?;
    let count = batch.messages.len();
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
        ingest.writer.write(drafts).await.map_err(not_durable)?;
    }
    Ok(Summary { accepted, rejected: count - accepted, results })
}

fn read(body: &[u8], batch_max: usize) -> Result<Batch<'_>, Refusal> {
    let batch: Batch<'_> = parse::json(body)?;
    let count = batch.messages.len();
    if count > batch_max {
        let detail = format!("a batch has at most {batch_max} messages, this one has {count}: send it in parts");
        return Err(Refusal::new(RejectReason::PayloadTooLarge, detail).seen_as(Kind::TooManyMessages));
    }
    Ok(batch)
}

/// A message with its verdict.
struct Judged {
    device_id: Option<String>,
    result: Result<Draft, Refusal>,
}

impl Judged {
    fn refused(device_id: Option<String>, refusal: Refusal) -> Self {
        Self { device_id, result: Err(refusal) }
    }
}

/// A message that says who sent it, which is not yet proven.
struct Claimed<'a> {
    envelope: Envelope<'a>,
    raw: &'a RawValue,
    sender: Sender,
}

enum Sender {
    Known(Known),
    /// To be asked of the store.
    Unasked(DeviceKey),
}

/// All senders that are not in memory are asked of the store at once.
async fn judge_all(ingest: &Ingest, messages: &[&RawValue], trace: Option<&TraceParent>) -> Vec<Judged> {
    let mut claimed: Vec<Result<Claimed<'_>, Judged>> = messages.iter().map(|raw| claim(ingest, raw)).collect();
    let unasked = claimed.iter().flatten().filter_map(|message| match &message.sender {
        Sender::Unasked(key) => Some(key.clone()),
        Sender::Known(_) => None,
    });
    let unasked: Vec<DeviceKey> = unasked.collect();
    if !unasked.is_empty()
        && let Ok(answers) = ingest.load(unasked).await
    {
        let senders = claimed.iter_mut().flatten().map(|message| &mut message.sender);
        let senders = senders.filter(|sender| matches!(sender, Sender::Unasked(_)));
        senders.zip(answers).for_each(|(sender, known)| *sender = Sender::Known(known));
    }
    claimed.into_iter().map(|message| message.map_or_else(|judged| judged, |message| judge(ingest, message, trace))).collect()
}

/// Reads who a message says it is from.
fn claim<'a>(ingest: &Ingest, raw: &'a RawValue) -> Result<Claimed<'a>, Judged> {
    let envelope: Envelope<'a> = parse::json(raw.get().as_bytes()).map_err(|invalid| Judged::refused(None, invalid.into()))?;
    let named = KeyRef { tenant_id: &envelope.tenant_id.0, device_id: &envelope.device_id.0 };
    let sender = token(&envelope).and_then(|_| match ingest.credentials.cached(named) {
        Some(known) => Ok(Sender::Known(known)),
        None => message_check::key(named).map(Sender::Unasked),
    });
    match sender {
        Ok(sender) => Ok(Claimed { envelope, raw, sender }),
        Err(refusal) => Err(Judged::refused(Some(envelope.device_id.0.into_owned()), refusal)),
    }
}

fn token<'a>(envelope: &'a Envelope<'_>) -> Result<&'a str, Refusal> {
    let presented = envelope.provision_token.as_ref().map(|token| &*token.0);
    message_check::token(presented, "provision_token is missing: it holds the device's token")
}

fn judge(ingest: &Ingest, message: Claimed<'_>, trace: Option<&TraceParent>) -> Judged {
    let Claimed { envelope, raw, sender } = message;
    let result = match sender {
        Sender::Unasked(_) => Err(Refusal::new(RejectReason::Unavailable, CREDENTIALS_UNAVAILABLE)),
        Sender::Known(known) => token(&envelope)
            .and_then(|token| message_check::admit(known, token, &ingest.limits))
            .and_then(|device| message_check::draft(device, envelope.msg_type, raw.get().as_bytes(), trace.cloned())),
    };
    Judged { device_id: Some(envelope.device_id.0.into_owned()), result }
}
