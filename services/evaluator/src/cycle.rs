//! One cycle: claim the devices that are due, judge them in memory, commit what that changes.
//!
//! Cycles pause 50 ms after a step that found nothing more: under a stream of readings batches form meanwhile, and ingest has the one writer. The
//! first reading after a quiet time is followed at once.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use pulse_domain::Timestamp;
use pulse_domain::evaluation::{DeviceOutcome, DueDevice, IngestProgress, JudgeClock, judge};
use pulse_domain::ids::{LeaseId, TenantId};
use pulse_runtime::{Backoff, Clock, Deps, Progress, Spans, spans};
use pulse_store::{Claim, CommitSummary, DueBatch, SharedStore};
use pulse_telemetry::Span;

use crate::change_spans::ChangeSpans;
use crate::metrics::{Metrics, QUEUE_NAME};
use crate::rules::{BatchRules, RuleCache};
use crate::settings::Settings;

/// The names of the store's calls in spans.
const CLAIM_DUE_DEVICES: &str = "claim_due_devices";
const COMMIT_EVALUATION: &str = "commit_evaluation";

/// An instance of ingest that has not reported for this long is gone; it reports about once a second.
const INGEST_ALIVE_WITHIN: Duration = Duration::from_secs(10);
/// Devices judged before other tasks get their turn: well under a millisecond.
const JUDGED_AT_A_STRETCH: usize = 256;
/// How many times a commit is tried while the database is not available, and the longest wait between: cheaper than to wait for the lease
/// to pass.
const COMMIT_TRIES: u32 = 3;
const COMMIT_PAUSE_MAX: Duration = Duration::from_millis(200);

/// What a cycle works with.
#[derive(Debug)]
pub(crate) struct Evaluator {
    store: SharedStore,
    clock: Clock,
    spans: Spans,
    settings: Settings,
    metrics: Metrics,
    rules: RuleCache,
}

impl Evaluator {
    pub(crate) fn new(deps: &Deps, settings: Settings, metrics: Metrics) -> Self {
        let (store, clock, spans) = (SharedStore::clone(&deps.store), deps.clock.clone(), deps.spans.clone());
        Self { rules: RuleCache::new(SharedStore::clone(&store), spans.clone()), store, clock, spans, settings, metrics }
    }

    /// Idempotent: what a cycle that failed had claimed is judged again once its lease has passed.
    pub(crate) async fn step(&self) -> pulse_store::Result<Progress> {
        let now = self.clock.now();
        // Asked before the claim, so that whatever is durable by then is among the readings claimed.
        let ingest = self.store.ingest_progress(now, INGEST_ALIVE_WITHIN).await?;
        let claim = Claim { now, limit: self.settings.batch_size, lease: self.settings.lease };
        let claiming = self.spans.claim(QUEUE_NAME, CLAIM_DUE_DEVICES);
        let batch = claiming.run(self.store.claim_due_devices(claim, self.settings.readings_max)).await?;
        if batch.devices.is_empty() {
            return Ok(Progress::Idle);
        }
        let causes = batch.devices.iter().flat_map(|device| &device.readings).filter_map(|reading| reading.trace.as_ref());
        let span = claiming.received(batch.devices.len(), causes);
        span.run(self.evaluate(batch, now, ingest, &span), spans::describe).await
    }

    async fn evaluate(
        &self,
        batch: DueBatch,
        now: Timestamp,
        ingest: Option<IngestProgress>,
        span: &Span,
    ) -> pulse_store::Result<Progress> {
        let rules = self.rules.of(&batch.rules).await?;
        let clock = JudgeClock { now, ingest, stale_after: self.settings.heartbeat_stale };
        let began = SystemTime::now();
        let mut outcomes = self.judge(&batch.devices, &rules, &clock).await;
        let changes = ChangeSpans::begin(&self.spans, span, began, &mut outcomes);
        let committed = self.commit(batch.lease, &outcomes).await;
        changes.end(committed.as_ref());
        let done = committed?;
        self.metrics.committed(&outcomes, &done);
        let (opened, closed, lost) = (done.opened.len(), done.closed.len(), done.lost.len());
        tracing::debug!(devices = batch.devices.len(), opened, closed, lost, "evaluated");
        let full = batch.devices.len() >= self.settings.batch_size as usize;
        Ok(if full || batch.devices.iter().any(|device| device.has_more) { Progress::More } else { Progress::Idle })
    }

    async fn judge(&self, devices: &[DueDevice], rules: &BatchRules, clock: &JudgeClock) -> Vec<DeviceOutcome> {
        let mut outcomes = Vec::with_capacity(devices.len());
        let mut tallies: HashMap<&TenantId, Tally> = HashMap::new();
        for stretch in devices.chunks(JUDGED_AT_A_STRETCH) {
            for device in stretch {
                let tenant_id = &device.key.tenant_id;
                let tally = tallies.entry(tenant_id).or_default();
                let Some(rules) = rules.get(tenant_id) else {
                    tally.errors += 1;
                    continue;
                };
                let judgement = judge(device, &rules.set, clock);
                tally.evaluated += judgement.rules_evaluated;
                outcomes.push(judgement.outcome);
            }
            tokio::task::yield_now().await;
        }
        for (tenant_id, tally) in tallies {
            self.metrics.know_tenant(tenant_id);
            self.metrics.judged(tenant_id, tally.evaluated, tally.errors + rules.get(tenant_id).map_or(0, |rules| rules.invalid));
        }
        outcomes
    }

    /// A commit whose answer was lost finds its leases given back and changes nothing.
    async fn commit(&self, lease: LeaseId, outcomes: &[DeviceOutcome]) -> pulse_store::Result<CommitSummary> {
        let mut backoff = Backoff::up_to(COMMIT_PAUSE_MAX);
        for _ in 1..COMMIT_TRIES {
            match self.try_commit(lease, outcomes).await {
                Err(error) if error.is_transient() => tokio::time::sleep(backoff.failed()).await,
                done => return done,
            }
        }
        self.try_commit(lease, outcomes).await
    }

    async fn try_commit(&self, lease: LeaseId, outcomes: &[DeviceOutcome]) -> pulse_store::Result<CommitSummary> {
        let commit = self.store.commit_evaluation(lease, outcomes, self.clock.now());
        self.spans.query(COMMIT_EVALUATION, outcomes.len(), commit).await
    }
}

/// What judging one tenant's devices came to.
#[derive(Debug, Default)]
struct Tally {
    evaluated: u64,
    errors: u64,
}
