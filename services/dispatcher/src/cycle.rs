//! One step of the dispatcher: claim, decide, commit.

use pulse_domain::Timestamp;
use pulse_domain::alert::AlertEvent;
use pulse_domain::ids::LeaseId;
use pulse_runtime::spans::{self, number, trace_of};
use pulse_runtime::{Deps, Progress, attribute};
use pulse_store::{Claim, DispatchSummary, EventBatch, Result};
use pulse_telemetry::Span;
use pulse_telemetry::opentelemetry::KeyValue;

use crate::commit::{Commit, RoutesByTenant};
use crate::metrics::{Metrics, QUEUE_NAME};
use crate::settings::Settings;

/// The names of the store's calls in spans.
const CLAIM_EVENTS: &str = "claim_events";
const COMMIT_DISPATCH: &str = "commit_dispatch";

/// A commit is closed once it holds this many jobs: events with many routes each must not make one endless transaction.
const JOBS_PER_COMMIT: usize = 5_000;

/// The attribute of an event's span that counts the jobs made from it.
const JOBS: &str = "pulse.dispatch.jobs";
/// The kind of failure of an event that stayed in the queue because its lease had passed.
const LEASE_LOST: &str = "lease_lost";
const LEASE_LOST_DETAIL: &str = "the event's lease passed before the commit: another dispatcher has it";

/// What a step works with.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) deps: Deps,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
}

impl Dispatcher {
    /// Dispatches one batch. What fails on the way stays claimed until the lease has passed, and is then dispatched by whoever claims it;
    /// jobs that were made already are not made again.
    pub(crate) async fn step(&self) -> Result<Progress> {
        let claim = Claim { now: self.deps.clock.now(), limit: self.settings.batch, lease: self.settings.lease };
        let claiming = self.deps.spans.claim(QUEUE_NAME, CLAIM_EVENTS);
        let batch = claiming.run(self.deps.store.claim_events(claim)).await?;
        if batch.events.is_empty() {
            return Ok(Progress::Idle);
        }
        let span = claiming.received(batch.events.len(), batch.events.iter().filter_map(|event| event.trace.as_ref()));
        span.run(self.dispatch(&batch, claim.now, &span), spans::describe).await?;
        let full = u32::try_from(batch.events.len()).is_ok_and(|claimed| claimed >= self.settings.batch);
        Ok(if full { Progress::More } else { Progress::Idle })
    }

    async fn dispatch(&self, batch: &EventBatch, now: Timestamp, span: &Span) -> Result<()> {
        let routes = RoutesByTenant::new(&batch.routes);
        let mut commit = Commit::default();
        let mut under_way = Vec::new();
        for event in &batch.events {
            let span = self.process(event, span);
            let jobs = commit.add(event, trace_of(&span).as_ref(), &routes, now);
            if span.is_recording() {
                span.set(number(JOBS, jobs));
            }
            under_way.push(span);
            if commit.jobs.len() >= JOBS_PER_COMMIT {
                self.commit(batch.lease, std::mem::take(&mut commit), std::mem::take(&mut under_way)).await?;
            }
        }
        if !commit.events.is_empty() {
            self.commit(batch.lease, commit, under_way).await?;
        }
        Ok(())
    }

    /// The span of one event, which goes on in the event's trace and ends with its commit.
    fn process(&self, event: &AlertEvent, batch: &Span) -> Span {
        let span = self.deps.spans.process(QUEUE_NAME, event.trace.as_ref(), batch).start();
        if span.is_recording() {
            span.set(KeyValue::new(attribute::MESSAGE_ID, event.event_id.to_string()));
            span.set(KeyValue::new(attribute::TENANT_ID, event.alert.tenant_id.to_string()));
            span.set(KeyValue::new(attribute::ALERT_ID, event.alert.alert_id.to_string()));
            span.set(KeyValue::new(attribute::EVENT_KIND, event.kind.as_str()));
        }
        span
    }

    async fn commit(&self, lease: LeaseId, commit: Commit, under_way: Vec<Span>) -> Result<()> {
        let call = self.deps.store.commit_dispatch(lease, &commit.events, &commit.jobs, self.deps.clock.now());
        let committed = self.deps.spans.query(COMMIT_DISPATCH, commit.events.len(), call).await;
        match &committed {
            Err(error) => under_way.iter().for_each(|span| spans::fail(span, error)),
            Ok(done) => {
                for ((_, event_id), span) in commit.events.iter().zip(&under_way) {
                    if span.is_recording() && !done.dispatched.contains(event_id) {
                        span.fail(LEASE_LOST, LEASE_LOST_DETAIL);
                    }
                }
            }
        }
        self.count(&commit, &committed?);
        Ok(())
    }

    fn count(&self, commit: &Commit, done: &DispatchSummary) {
        self.metrics.committed(commit, done);
        let lost = commit.events.len() - done.dispatched.len();
        if lost > 0 {
            tracing::warn!(lost, "events were taken by another dispatcher before they could be committed: their lease had passed");
        }
        tracing::debug!(dispatched = done.dispatched.len(), jobs = done.jobs, "events dispatched");
    }
}
