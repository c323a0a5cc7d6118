//! How far the flow is, for all who take part in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::MillionJobsSettings;

/// Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) settings: Arc<MillionJobsSettings>,
    begun: Instant,
    recorded: watch::Sender<u64>,
}

impl Flow {
    pub(super) fn new(settings: &MillionJobsSettings) -> Self {
        Self { settings: Arc::new(settings.clone()), begun: Instant::now(), recorded: watch::Sender::new(0) }
    }

    /// So many more jobs have left the queue.
    pub(super) fn record(&self, jobs: u64) {
        self.recorded.send_modify(|recorded| *recorded += jobs);
    }

    /// How many have.
    pub(super) fn so_far(&self) -> u64 {
        *self.recorded.borrow()
    }

    pub(super) fn is_over(&self) -> bool {
        self.so_far() >= self.settings.jobs
    }

    /// Waits until so many have.
    pub(super) async fn recorded(&self, jobs: u64) {
        let mut recorded = self.recorded.subscribe();
        // It fails when nobody can record any more, and this very one can.
        let _reached = recorded.wait_for(|recorded| *recorded >= jobs).await;
    }

    /// Waits until the next claim is due, at the pace asked for.
    pub(super) async fn next_claim(&self) {
        if let Some(since_begun) = Duration::from_secs(self.so_far()).checked_div(self.settings.rate) {
            tokio::time::sleep_until((self.begun + since_begun).into()).await;
        }
    }

    /// The counts at which the tables are looked at; the last is all.
    pub(super) fn marks(&self) -> impl Iterator<Item = u64> + use<> {
        let (every, jobs) = (self.settings.every, self.settings.jobs);
        (1..=jobs.div_ceil(every)).map(move |number| (number * every).min(jobs))
    }
}
