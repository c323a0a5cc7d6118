//! One attempt: from a claimed job to what the log and the queue are to know of it.
//!
//! A job remembers its latest attempt's context (`jobs.attempt_trace`), past a replay: any worker may make the next attempt, and its link needs the
//! ids of the span before. The API does not show it; attempts have a log there.

use std::sync::Arc;

use pulse_domain::Timestamp;
use pulse_domain::ids::LeaseId;
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, Failure, Verdict};
use pulse_domain::retry::RetryPolicy;
use pulse_runtime::spans::{Spans, trace_of};
use pulse_runtime::{Clock, attribute};
use pulse_store::{AttemptRecord, ClaimedJob};
use pulse_telemetry::Span;
use pulse_telemetry::opentelemetry::KeyValue;
use reqwest::StatusCode;

use crate::channel::{self, Channel, Message};
use crate::failure;
use crate::http_client::Http;
use crate::metrics::{Metrics, NO_CHANNEL};

/// The attributes of an attempt's span beside those of every message's.
const ATTEMPT: &str = "pulse.delivery.attempt";
const CHANNEL: &str = "pulse.delivery.channel";
const INTEGRATION_ID: &str = "pulse.integration.id";
const OUTCOME: &str = "pulse.delivery.outcome";
/// The kind of a link to the attempt before this one.
const PREVIOUS_ATTEMPT: &str = "previous_attempt";

/// Makes the attempts of one queue.
#[derive(Debug, Clone)]
pub(crate) struct Deliverer {
    pub(crate) queue: Queue,
    pub(crate) http: Http,
    pub(crate) clock: Clock,
    pub(crate) spans: Spans,
    pub(crate) policy: RetryPolicy,
    pub(crate) metrics: Arc<Metrics>,
}

impl Deliverer {
    /// Tries to deliver a job that is held under `lease`, in a span of the job's trace.
    pub(crate) async fn attempt(&self, lease: LeaseId, claimed: ClaimedJob, batch: &Span) -> AttemptRecord {
        let span = self.span(&claimed, batch);
        span.in_scope(self.attempt_within(&span, lease, claimed)).await
    }

    /// A retry or a replay names the attempt before it.
    fn span(&self, claimed: &ClaimedJob, batch: &Span) -> Span {
        let job = &claimed.job;
        let span = self.spans.process(self.queue.gauge_name(), job.trace.as_ref(), batch);
        let span = match &job.attempt_trace {
            Some(previous) => span.link_as(previous.as_str(), [KeyValue::new(attribute::LINK, PREVIOUS_ATTEMPT)]),
            None => span,
        };
        let span = span.start();
        if span.is_recording() {
            span.set(KeyValue::new(attribute::MESSAGE_ID, job.job_id.to_string()));
            span.set(KeyValue::new(attribute::TENANT_ID, job.tenant_id.to_string()));
            span.set(KeyValue::new(INTEGRATION_ID, job.integration_id.to_string()));
            span.set(KeyValue::new(CHANNEL, channel_of(claimed).map_or(NO_CHANNEL, Channel::as_str)));
            span.set(KeyValue::new(ATTEMPT, i64::from(job.attempts)));
        }
        span
    }

    async fn attempt_within(&self, span: &Span, lease: LeaseId, claimed: ClaimedJob) -> AttemptRecord {
        let started_at = self.clock.now();
        let under_way = self.metrics.under_way(self.queue);
        let outcome = self.metrics.delivery_attempt.run(self.deliver(&claimed, started_at)).await;
        drop(under_way);
        let finished_at = self.clock.now().max(started_at);
        self.measure(&claimed, &outcome, finished_at);
        let verdict = self.judge(&claimed, &outcome, finished_at);
        report(&claimed, &outcome, &verdict);
        describe(span, &outcome, &verdict);
        let (error, http_status, detail) = match outcome {
            Ok(status) => (None, Some(status.as_u16()), None),
            Err(failure) => (Some(failure.kind), failure.http_status, Some(failure.detail)),
        };
        let job = claimed.job;
        let attempt = Attempt { job_id: job.job_id, attempt: job.attempts, started_at, finished_at, error, http_status, detail };
        AttemptRecord { tenant_id: job.tenant_id, lease, attempt, verdict, trace: trace_of(span) }
    }

    async fn deliver(&self, claimed: &ClaimedJob, at: Timestamp) -> Result<StatusCode, Failure> {
        let Some(integration) = &claimed.integration else {
            return Err(failure::config("the integration is disabled or was deleted: enable it or change the route, then replay the job"));
        };
        channel::deliver(&integration.destination, &self.http, &Message { job: &claimed.job, at }).await
    }

    fn measure(&self, claimed: &ClaimedJob, outcome: &Result<StatusCode, Failure>, finished_at: Timestamp) {
        let Some(channel) = channel_of(claimed) else { return self.metrics.no_channel.add(1) };
        let metrics = self.metrics.channel(channel);
        metrics.attempted(outcome.as_ref().err().map(|failure| failure.kind));
        if let (Ok(_), Some(origin_at)) = (outcome, claimed.job.origin_at) {
            metrics.latency.record((finished_at - origin_at).as_seconds_f64().max(0.0));
        }
    }

    fn judge(&self, claimed: &ClaimedJob, outcome: &Result<StatusCode, Failure>, now: Timestamp) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Delivered,
            Err(failure) => self.policy.after_failure(failure, claimed.job.attempts, now, rand::random()),
        }
    }
}

/// None where the integration is gone, so that nobody knows what channel it was.
fn channel_of(claimed: &ClaimedJob) -> Option<Channel> {
    claimed.integration.as_ref().map(|integration| Channel::to(&integration.destination))
}

/// Says on the span how it ended.
fn describe(span: &Span, outcome: &Result<StatusCode, Failure>, verdict: &Verdict) {
    if !span.is_recording() {
        return;
    }
    let ended = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry { .. } => "retry",
        Verdict::Dead => "dead",
    };
    span.set(KeyValue::new(OUTCOME, ended));
    if let Err(failure) = outcome {
        span.fail(failure.kind.as_str(), failure.detail.clone());
    }
}

/// Failures are logged here and nowhere else: a dead job is somebody's business, a retry is not yet.
fn report(claimed: &ClaimedJob, outcome: &Result<StatusCode, Failure>, verdict: &Verdict) {
    let (job, integration) = (&claimed.job, claimed.job.integration_id);
    let (tenant, trace) = (&job.tenant_id, job.trace.as_ref().map(|trace| trace.trace_id()));
    match (outcome, verdict) {
        (Err(failure), Verdict::Retry { run_at }) => {
            tracing::info!(%tenant, job = %job.job_id, %integration, trace, attempt = job.attempts, kind = failure.kind.as_str(), detail = failure.detail, %run_at, "delivery failed, it will be tried again");
        }
        (Err(failure), _) => {
            tracing::warn!(%tenant, job = %job.job_id, %integration, trace, attempt = job.attempts, kind = failure.kind.as_str(), detail = failure.detail, "delivery given up, the job is dead");
        }
        (Ok(status), _) => {
            tracing::debug!(%tenant, job = %job.job_id, %integration, trace, attempt = job.attempts, status = status.as_u16(), "delivered");
        }
    }
}
