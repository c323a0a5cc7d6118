//! The sink's answers: what it does with each request.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use pulse_domain::Timestamp;
use pulse_domain::alert::{AlertType, EventKind};
use pulse_domain::trace::TraceParent;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, Webhook};

use super::behaviour::{Behaviour, Behaviours, Mode, Target};
use super::tally::{Delivery, SinkTally};
use crate::sent_readings::SentReadings;

/// Where webhooks go, under the base URL.
pub const WEBHOOK_PATH: &str = "/webhook";
/// Where chat messages go, under the base URL.
pub const SLACK_PATH: &str = "/slack";

/// The largest body that is read.
const BODY_MAX_BYTES: usize = 256 * 1024;
/// The path before the id of a message that is asked for.
const TAKEN_PATH: &str = "/taken/";

/// Cut the connection instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("told to cut the connection")]
pub(super) struct Cut {
    /// With a TCP reset.
    pub(super) with_reset: bool,
}

/// A message that cannot be taken.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    fn answer(&self) -> Answer {
        text(self.status, &self.detail)
    }
}

/// What all connections share.
pub(super) struct Receiver {
    pub(super) behaviours: Behaviours,
    pub(super) tally: SinkTally,
    pub(super) signature: Webhook,
    pub(super) sent_readings: OnceLock<Arc<SentReadings>>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

type Answer = Response<Full<Bytes>>;

impl Receiver {
    /// Answers one request, or says that the connection is to be cut.
    pub(super) async fn receive(&self, request: Request<Incoming>) -> Result<Answer, Cut> {
        let (parts, body) = request.into_parts();
        match (&parts.method, parts.uri.path()) {
            (&Method::POST, WEBHOOK_PATH) => self.message(Target::Webhook, &parts.headers, body).await,
            (&Method::POST, SLACK_PATH) => self.message(Target::Slack, &parts.headers, body).await,
            (&Method::POST, "/control") => self.control(body).await,
            (&Method::GET, "/stats") => Ok(json(&self.tally.stats())),
            (&Method::GET, "/messages") => Ok(json(&self.tally.messages())),
            (&Method::GET, path) if path.starts_with(TAKEN_PATH) => Ok(self.taken(&path[TAKEN_PATH.len()..])),
            (&Method::GET, "/health") => Ok(text(StatusCode::OK, "ok")),
            (_, WEBHOOK_PATH | SLACK_PATH | "/control") => Ok(text(StatusCode::METHOD_NOT_ALLOWED, "POST only")),
            _ => {
                Ok(text(StatusCode::NOT_FOUND, "there are /webhook, /slack, /control, /stats, /messages, /taken/{webhook-id} and /health"))
            }
        }
    }

    /// How often a message was taken, for whoever asks whether an alert arrived.
    fn taken(&self, webhook_id: &str) -> Answer {
        json(&Taken { webhook_id, times: self.tally.times_taken(webhook_id) })
    }

    async fn message(&self, path: Target, headers: &HeaderMap, body: Incoming) -> Result<Answer, Cut> {
        let body = match read(body).await? {
            Ok(body) => body,
            Err(too_large) => return Ok(too_large.answer()),
        };
        let arrived = Instant::now();
        self.tally.arrived(path, headers, &body);
        let judged = match path {
            Target::Slack => self.chat(&body).map(|()| None),
            Target::Webhook | Target::All => self.webhook(headers, &body, arrived).map(Some),
        };
        let behaviour = self.behaviours.next(path);
        if let Some(bad) = self.behave(&behaviour).await? {
            return Ok(bad);
        }
        match judged {
            Ok(Some(delivery)) => self.tally.delivered(&delivery),
            Ok(None) => self.tally.count(|stats| stats.chats_delivered += 1),
            Err(refusal) => return Ok(refusal.answer()),
        }
        if behaviour.mode == Mode::Lose { Err(Cut { with_reset: true }) } else { Ok(text(StatusCode::OK, "ok")) }
    }

    /// Waits, and answers badly if told to. None: the message is to be taken.
    async fn behave(&self, behaviour: &Behaviour) -> Result<Option<Answer>, Cut> {
        let delay = behaviour.delay();
        if behaviour.mode != Mode::Ok && behaviour.mode != Mode::Slow {
            self.tally.count(|stats| stats.misbehaved += 1);
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match behaviour.mode {
            Mode::Ok | Mode::Slow | Mode::Lose => Ok(None),
            // Ends with the connection, when the sender gives up or the sink stops.
            Mode::Hang => std::future::pending().await,
            Mode::Reset => Err(Cut { with_reset: true }),
            Mode::Fail | Mode::Reject => {
                let status = StatusCode::from_u16(behaviour.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                let mut answer = text(status, "told to");
                if let Some(seconds) = behaviour.retry_after {
                    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                Ok(Some(answer))
            }
        }
    }

    fn webhook(&self, headers: &HeaderMap, body: &[u8], arrived: Instant) -> Result<Delivery, Refusal> {
        if trace(headers).is_none() {
            self.tally.count(|stats| stats.missing_trace += 1);
        }
        if let Err(error) = self.signature.verify(body, headers) {
            self.tally.count(|stats| stats.bad_signatures += 1);
            return Err(Refusal { status: StatusCode::UNAUTHORIZED, detail: error.to_string() });
        }
        let message = serde_json::from_slice::<Message>(body).map_err(|error| self.malformed(&error.to_string()))?;
        let id = headers.get(HEADER_WEBHOOK_ID).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let event = EventKind::ALL.iter().map(|kind| kind.as_str()).find(|kind| *kind == message.event).unwrap_or("OTHER");
        let is_open = event == EventKind::Open.as_str();
        let sent = if is_open { self.sent_at(&message) } else { None };
        Ok(Delivery {
            id,
            event,
            device_to_delivery: sent.map(|sent| arrived.saturating_duration_since(sent)),
            alert_to_delivery: is_open.then(|| (chrono::Utc::now() - message.created_at).to_std().unwrap_or_default()),
            is_open_by_rule: is_open && message.alert_type == AlertType::Threshold.as_str(),
        })
    }

    /// When the reading that the message speaks of was sent.
    fn sent_at(&self, message: &Message) -> Option<Instant> {
        let value = match &message.details["metric_value"] {
            Value::Bool(truth) => f64::from(u8::from(*truth)),
            other => other.as_f64()?,
        };
        self.sent_readings.get()?.sent_at(&message.device_id, message.details["metric_name"].as_str()?, value)
    }

    /// Whether a message is in Slack's format: an object with a text, blocks or attachments.
    fn chat(&self, body: &[u8]) -> Result<(), Refusal> {
        let chat = serde_json::from_slice::<Value>(body).map_err(|error| self.malformed(&error.to_string()))?;
        let says_something = chat["text"].as_str().is_some_and(|text| !text.is_empty())
            || ["blocks", "attachments"].iter().any(|field| chat[field].as_array().is_some_and(|list| !list.is_empty()));
        if says_something { Ok(()) } else { Err(self.malformed("no text, blocks or attachments")) }
    }

    fn malformed(&self, detail: &str) -> Refusal {
        self.tally.count(|stats| stats.malformed += 1);
        Refusal { status: StatusCode::BAD_REQUEST, detail: detail.to_owned() }
    }

    async fn control(&self, body: Incoming) -> Result<Answer, Cut> {
        let body = match read(body).await? {
            Ok(body) => body,
            Err(too_large) => return Ok(too_large.answer()),
        };
        let behaviour = serde_json::from_slice::<Behaviour>(&body).map_err(|error| error.to_string());
        Ok(match behaviour.and_then(|behaviour| behaviour.validate().map(|()| behaviour)) {
            Ok(behaviour) => {
                self.behaviours.set(&behaviour);
                json(&behaviour)
            }
            Err(detail) => text(StatusCode::BAD_REQUEST, &detail),
        })
    }
}

/// The answer to `GET /taken/{webhook-id}`.
#[derive(Debug, Serialize)]
struct Taken<'a> {
    webhook_id: &'a str,
    times: u32,
}

/// What the sink reads of a webhook.
#[derive(Debug, Deserialize)]
struct Message {
    event: String,
    device_id: String,
    created_at: Timestamp,
    #[serde(default)]
    alert_type: String,
    #[serde(default)]
    details: Value,
}

/// The whole body; a refusal when it is too large, a cut when the sender broke off.
async fn read(body: Incoming) -> Result<Result<Bytes, Refusal>, Cut> {
    match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(body) => Ok(Ok(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            Ok(Err(Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, detail: "at most 256 KiB".into() }))
        }
        Err(_) => Err(Cut { with_reset: false }),
    }
}

fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    TraceParent::parse(headers.get("traceparent")?.to_str().ok()?).ok()
}

fn text(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut answer = Response::new(Full::new(Bytes::from(body)));
            answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            answer
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
