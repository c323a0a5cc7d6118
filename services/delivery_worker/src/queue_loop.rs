//! A queue's loop: claim, commit, deliver with nothing held, hand the result to the recorder. Each queue has one of its own, with places
//! of its own, so that slow chat never starves webhooks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::Timestamp;
use pulse_domain::ids::{IntegrationId, JobId, LeaseId, TenantId};
use pulse_runtime::{Backoff, Chain, Clock, Deps, Outage, Shutdown, Ticker};
use pulse_store::{AttemptRecord, Claim, ClaimedJob, JobBatch, SharedStore, Topic, Wake, within};
use pulse_telemetry::{Activity, Span, Telemetry};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::attempt::Deliverer;
use crate::metrics::CLAIM_JOBS;
use crate::places::{Limits, Places};
use crate::settings::{STORE_MAX, Settings};

/// The longest wait after a claim that failed.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long the store and the recorder may take before /ready complains, beyond what the settings allow a delivery.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// How long a claim under way at shutdown is waited for; what a later one brings comes back when its lease has passed.
const CLAIM_DRAIN: Duration = Duration::from_secs(3);

/// A claimed job that waits for its place.
#[derive(Debug)]
struct Held {
    lease: LeaseId,
    /// The job must not be started after this, or the lease could pass before the attempt is recorded.
    start_by: Timestamp,
    claimed: ClaimedJob,
    /// The span of the claim that brought it.
    batch: Span,
}

/// A claim that has ended, with what it brought, if anything.
struct Claimed {
    claim: Claim,
    result: pulse_store::Result<Option<(JobBatch, Span)>>,
}

/// The loop of one queue.
pub(crate) struct QueueLoop {
    store: SharedStore,
    clock: Clock,
    telemetry: Telemetry,
    deliverer: Arc<Deliverer>,
    recorder: mpsc::Sender<AttemptRecord>,
    wake: Wake,
    activity: Activity,
    lease: Duration,
    timeout: Duration,
    poll: Duration,
    drain: Duration,
    places: Places<Held>,
    /// The claim under way, if any. A task of its own: the store lets writers in one after the other, so a claim that only this loop
    /// moved would keep out what this loop itself waits for.
    claiming: JoinSet<Claimed>,
    under_way: JoinSet<()>,
    /// The destination whose place each delivery under way takes.
    delivering: HashMap<Id, IntegrationId>,
    /// Whether there may be work that has not been claimed.
    look: bool,
    /// No claim before this instant, after one that failed.
    pause_until: Option<Instant>,
    /// The wait after claims that failed.
    backoff: Backoff,
    /// Decides which of those failures are logged.
    outage: Outage,
}

impl QueueLoop {
    pub(crate) fn new(deps: &Deps, settings: &Settings, deliverer: Deliverer, recorder: mpsc::Sender<AttemptRecord>) -> Self {
        let queue = deliverer.queue;
        let limits = Limits { places: settings.places(queue), per_destination: settings.per_destination, batch: settings.batch };
        let stuck_after = settings.poll + settings.timeout * 2 + STUCK_AFTER;
        Self {
            store: Arc::clone(&deps.store),
            clock: deps.clock.clone(),
            telemetry: deps.telemetry.clone(),
            deliverer: Arc::new(deliverer),
            recorder,
            wake: deps.store.wake(Topic::Jobs),
            activity: deps.telemetry.readiness().activity(queue.gauge_name(), stuck_after),
            lease: settings.lease,
            timeout: settings.timeout,
            poll: settings.poll,
            drain: settings.drain,
            places: Places::new(limits),
            claiming: JoinSet::new(),
            under_way: JoinSet::new(),
            delivering: HashMap::new(),
            look: true,
            pause_until: None,
            backoff: Backoff::up_to(BACKOFF_MAX),
            outage: Outage::default(),
        }
    }

    /// Runs until shutdown, then drains: no new claims, what waits is given back, what is under way may finish.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut ticker = Ticker::every(self.poll);
        loop {
            self.start_waiting().await;
            self.claim();
            tokio::select! {
                () = shutdown.triggered() => break,
                Some(ended) = self.under_way.join_next_with_id() => self.ended(ended),
                Some(claimed) = self.claiming.join_next() => self.claimed(claimed),
                () = self.wake.signalled() => self.look = true,
                () = sleep_until(self.pause_until.unwrap_or_else(Instant::now)), if self.pause_until.is_some() => self.pause_until = None,
                () = ticker.tick() => self.tick().await,
            }
        }
        self.drain().await;
    }

    /// Begins the next claim, when there may be work and there is room for it.
    fn claim(&mut self) {
        if !self.look || self.pause_until.is_some() || !self.claiming.is_empty() {
            return;
        }
        let Some(limit) = self.places.claim_limit() else { return };
        // Armed before the claim looks, so that no signal from now on is lost.
        self.wake.arm();
        self.look = false;
        let claim = Claim { now: self.clock.now(), limit, lease: self.lease };
        let (store, deliverer, busy) = (Arc::clone(&self.store), Arc::clone(&self.deliverer), self.places.busy());
        self.claiming.spawn(self.telemetry.scope(async move {
            let timer = deliverer.metrics.claim_jobs.start();
            let claiming = deliverer.spans.claim(deliverer.queue.gauge_name(), CLAIM_JOBS);
            let result = claiming.run(within(STORE_MAX, store.claim_jobs(deliverer.queue, claim, &busy))).await;
            match &result {
                Ok(batch) if batch.jobs.is_empty() => timer.discard(),
                Ok(_) => timer.success(),
                Err(_) => timer.error(),
            }
            let result = result.map(|batch| {
                let causes = batch.jobs.iter().filter_map(|claimed| claimed.job.trace.as_ref());
                let span = (!batch.jobs.is_empty()).then(|| claiming.received(batch.jobs.len(), causes));
                span.map(|span| (batch, span))
            });
            Claimed { claim, result }
        }));
    }

    fn claimed(&mut self, claimed: Result<Claimed, JoinError>) {
        match claimed {
            Ok(Claimed { claim, result: Ok(brought) }) => {
                self.activity.beat();
                self.backoff.reset();
                if let Some(lasted) = self.outage.ended() {
                    tracing::info!(queue = self.deliverer.queue.as_str(), ?lasted, "jobs can be claimed again");
                }
                if let Some((batch, span)) = brought {
                    // A full claim: there may be more.
                    self.look |= batch.jobs.len() >= usize::try_from(claim.limit).unwrap_or(usize::MAX);
                    self.hold(claim, batch, &span);
                }
            }
            Ok(Claimed { result: Err(error), .. }) => self.back_off(&error),
            Err(error) => self.back_off(&error),
        }
    }

    fn back_off(&mut self, error: &(dyn std::error::Error + 'static)) {
        let (queue, wait) = (self.deliverer.queue.as_str(), self.backoff.failed());
        if let Some(failures) = self.outage.failed() {
            tracing::warn!(error = %Chain(error), queue, failures, retry_in = ?wait, "jobs could not be claimed");
        }
        self.look = true;
        self.pause_until = Some(Instant::now() + wait);
    }

    fn hold(&mut self, claim: Claim, batch: JobBatch, span: &Span) {
        // Half of what the lease leaves beside the attempt itself; the other half is for recording it.
        let start_by = claim.now + (self.lease - self.timeout) / 2;
        for claimed in batch.jobs {
            self.deliverer.metrics.know_tenant(&claimed.job.tenant_id);
            self.places.hold(claimed.job.integration_id, Held { lease: batch.lease, start_by, claimed, batch: span.clone() });
        }
        // The jobs keep the span to name it, however long they wait.
        span.end();
    }

    /// Gives every free place to a job that waits; those that have waited too long go back.
    async fn start_waiting(&mut self) {
        let now = self.clock.now();
        let mut overdue = Vec::new();
        while let Some((id, held)) = self.places.start() {
            if held.start_by <= now {
                self.places.finish(id);
                overdue.push(held);
                continue;
            }
            let (deliverer, recorder) = (Arc::clone(&self.deliverer), self.recorder.clone());
            let delivery = self.under_way.spawn(self.telemetry.scope(async move {
                let record = deliverer.attempt(held.lease, held.claimed, &held.batch).await;
                if recorder.send(record).await.is_err() {
                    tracing::error!("the recorder is gone: an attempt was not recorded, its job comes back when its lease has passed");
                }
            }));
            self.delivering.insert(delivery.id(), id);
        }
        self.release(overdue).await;
    }

    /// A delivery has ended and its place is free. One that panicked is not recorded: its job comes back when its lease has passed.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        self.activity.beat();
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a delivery broke off");
                error.id()
            }
        };
        if let Some(id) = self.delivering.remove(&task) {
            self.look |= self.places.finish(id);
        }
    }

    /// The poll: the truth, should a wake-up be lost. Jobs whose destination is too slow for them go back before their lease passes.
    async fn tick(&mut self) {
        self.look = true;
        let now = self.clock.now();
        let overdue = self.places.take_waiting(|held| held.start_by <= now);
        self.release(overdue).await;
    }

    async fn drain(mut self) {
        let now = Instant::now();
        let deadline = now + self.drain;
        let claimed_by = deadline.min(now + CLAIM_DRAIN);
        if let Ok(Some(Ok(Claimed { claim, result: Ok(Some((batch, span))) }))) = timeout_at(claimed_by, self.claiming.join_next()).await {
            self.hold(claim, batch, &span);
        }
        let waiting = self.places.take_waiting(|_| true);
        let released = timeout_at(deadline, self.release(waiting)).await;
        if released.is_err() {
            tracing::warn!("waiting jobs could not be given back in time: they come back when their lease has passed");
        }
        while let Ok(Some(_)) = timeout_at(deadline, self.under_way.join_next()).await {}
        if !self.under_way.is_empty() {
            tracing::warn!(deliveries = self.under_way.len(), "deliveries were cut off: their jobs come back when their lease has passed");
        }
        self.under_way.shutdown().await;
        self.activity.finish();
    }

    /// Gives jobs back unattempted, a statement a claim.
    async fn release(&self, jobs: Vec<Held>) {
        let mut by_lease: HashMap<LeaseId, Vec<(TenantId, JobId)>> = HashMap::new();
        for held in jobs {
            by_lease.entry(held.lease).or_default().push((held.claimed.job.tenant_id, held.claimed.job.job_id));
        }
        for (lease, jobs) in by_lease {
            if let Err(error) = within(STORE_MAX, self.store.release_jobs(lease, &jobs)).await {
                tracing::warn!(error = %Chain(&error), jobs = jobs.len(), "jobs could not be given back: they come back when their lease has passed");
            }
        }
    }
}
