//! One step of the dispatcher: claim, decide, commit.

use std::time::Duration;

use pulse_domain::ids::LeaseId;
use pulse_runtime::{Clock, Progress};
use pulse_store::{Claim, Result, SharedStore};

use crate::commit::{Commit, RoutesByTenant};
use crate::metrics::Metrics;

/// A commit is closed once it holds this many jobs: events with many routes each must not make one endless transaction.
const JOBS_PER_COMMIT: usize = 5_000;

/// What a step needs.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    /// Events in one claim.
    pub(crate) batch: u32,
    pub(crate) lease: Duration,
}

impl Dispatcher {
    /// Dispatches one batch. What fails on the way stays claimed until the lease has passed, and is then dispatched by whoever claims it;
    /// jobs that were made already are not made again.
    pub(crate) async fn step(&self) -> Result<Progress> {
        let claim = Claim { now: self.clock.now(), limit: self.batch, lease: self.lease };
        let batch = self.store.claim_events(claim).await?;
        let routes = RoutesByTenant::new(&batch.routes);
        let mut commit = Commit::default();
        for event in &batch.events {
            commit.add(event, &routes, claim.now);
            if commit.jobs.len() >= JOBS_PER_COMMIT {
                self.commit(batch.lease, std::mem::take(&mut commit)).await?;
            }
        }
        if !commit.events.is_empty() {
            self.commit(batch.lease, commit).await?;
        }
        let full = u32::try_from(batch.events.len()).is_ok_and(|claimed| claimed >= self.batch);
        Ok(if full { Progress::More } else { Progress::Idle })
    }

    async fn commit(&self, lease: LeaseId, commit: Commit) -> Result<()> {
        let done = self.store.commit_dispatch(lease, &commit.events, &commit.jobs, self.clock.now()).await?;
        self.metrics.committed(commit.outcomes, done);
        if done.lost > 0 {
            tracing::warn!(
                lost = done.lost,
                "events were taken by another dispatcher before they could be committed: their lease had passed"
            );
        }
        tracing::debug!(dispatched = done.dispatched, jobs = done.jobs, "events dispatched");
        Ok(())
    }
}
