//! One attempt: from a claimed job to what the log and the queue are to know of it.

use std::sync::Arc;

use pulse_domain::Timestamp;
use pulse_domain::ids::LeaseId;
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, Failure, Verdict};
use pulse_domain::retry::RetryPolicy;
use pulse_runtime::Clock;
use pulse_store::{AttemptRecord, ClaimedJob};
use reqwest::StatusCode;

use crate::channel::{self, Message};
use crate::failure;
use crate::http::Http;
use crate::metrics::{Metrics, NO_CHANNEL};

/// Makes the attempts of one queue.
#[derive(Debug, Clone)]
pub(crate) struct Deliverer {
    pub(crate) queue: Queue,
    pub(crate) http: Http,
    pub(crate) clock: Clock,
    pub(crate) policy: RetryPolicy,
    pub(crate) metrics: Arc<Metrics>,
}

impl Deliverer {
    /// Tries to deliver a job that is held under `lease`.
    pub(crate) async fn attempt(&self, lease: LeaseId, claimed: ClaimedJob) -> AttemptRecord {
        let started_at = self.clock.now();
        let under_way = self.metrics.under_way(self.queue);
        let outcome = self.metrics.delivery_attempt.run(self.deliver(&claimed, started_at)).await;
        drop(under_way);
        let finished_at = self.clock.now().max(started_at);
        self.measure(&claimed, &outcome, finished_at);
        let verdict = self.judge(&claimed, &outcome, finished_at);
        report(&claimed, &outcome, &verdict);
        let (error, http_status, detail) = match outcome {
            Ok(status) => (None, Some(status.as_u16()), None),
            Err(failure) => (Some(failure.kind), failure.http_status, Some(failure.detail)),
        };
        let job = claimed.job;
        let attempt = Attempt { job_id: job.job_id, attempt: job.attempts, started_at, finished_at, error, http_status, detail };
        AttemptRecord { tenant_id: job.tenant_id, lease, attempt, verdict, trace: None }
    }

    async fn deliver(&self, claimed: &ClaimedJob, at: Timestamp) -> Result<StatusCode, Failure> {
        let Some(integration) = &claimed.integration else {
            return Err(failure::config("the integration is disabled or was deleted: enable it or change the route, then replay the job"));
        };
        channel::open(&integration.destination, &self.http).deliver(&Message { job: &claimed.job, at }).await
    }

    fn measure(&self, claimed: &ClaimedJob, outcome: &Result<StatusCode, Failure>, finished_at: Timestamp) {
        let channel = claimed.integration.as_ref().map_or(NO_CHANNEL, |integration| integration.destination.kind());
        self.metrics.attempted(channel, outcome.as_ref().err().map(|failure| failure.kind));
        if let (Ok(_), Some(origin_at)) = (outcome, claimed.job.origin_at) {
            self.metrics.latency(channel, (finished_at - origin_at).as_seconds_f64().max(0.0));
        }
    }

    fn judge(&self, claimed: &ClaimedJob, outcome: &Result<StatusCode, Failure>, now: Timestamp) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Delivered,
            Err(failure) => self.policy.after_failure(failure, claimed.job.attempts, now, rand::random()),
        }
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
