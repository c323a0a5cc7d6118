//! Records finished attempts in batches: whatever has ended while the last batch was being written is the next one. So a lone attempt
//! is recorded at once, and a thousand a second cost a few statements.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::ids::TenantId;
use pulse_domain::job::Verdict;
use pulse_domain::trace::TraceParent;
use pulse_runtime::{Backoff, Chain, Clock, Outage, Spans};
use pulse_store::{AttemptRecord, RecordSummary, SharedStore, within};
use tokio::sync::mpsc;

use crate::metrics::{Metrics, RECORD_ATTEMPTS};
use crate::settings::STORE_MAX;

/// The longest wait after the store was not available.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Writes the attempts of all queues.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    pub(crate) spans: Spans,
    pub(crate) metrics: Arc<Metrics>,
    /// Upper bound on attempts in one batch.
    pub(crate) batch: usize,
}

impl Recorder {
    /// Runs until every sender is gone and everything is written. While the store is not available nothing is taken from the channel,
    /// which then fills and holds up the deliveries: what cannot be remembered is better not begun.
    pub(crate) async fn run(self, mut finished: mpsc::Receiver<AttemptRecord>) {
        let mut batch = Vec::with_capacity(self.batch);
        while finished.recv_many(&mut batch, self.batch).await > 0 {
            let attempts = batch.iter().filter_map(|record| record.trace.as_ref());
            let span = self.spans.tracer().span(RECORD_ATTEMPTS).root().causes(attempts.map(TraceParent::as_str)).start();
            span.in_scope(self.flush(&batch)).await;
            batch.clear();
        }
    }

    async fn flush(&self, batch: &[AttemptRecord]) {
        match self.record(batch).await {
            Ok(()) => {}
            Err(error) if batch.len() > 1 => {
                tracing::error!(
                    error = %Chain(&error),
                    attempts = batch.len(),
                    "a batch of attempts was refused, trying one by one"
                );
                for record in batch {
                    self.record_alone(record).await;
                }
            }
            Err(error) => lost(&batch[0], &error),
        }
    }

    async fn record_alone(&self, record: &AttemptRecord) {
        if let Err(error) = self.record(std::slice::from_ref(record)).await {
            lost(record, &error);
        }
    }

    /// Writes, waiting for the store as long as it takes. Fails only when trying again cannot help.
    async fn record(&self, batch: &[AttemptRecord]) -> pulse_store::Result<()> {
        let (mut backoff, mut outage) = (Backoff::up_to(BACKOFF_MAX), Outage::default());
        loop {
            let writing = within(STORE_MAX, self.store.record_attempts(batch, self.clock.now()));
            let writing = self.spans.query(RECORD_ATTEMPTS, batch.len(), writing);
            match self.metrics.record_attempts.run(writing).await {
                Ok(summary) => {
                    self.count(batch, &summary);
                    return Ok(());
                }
                Err(error) if error.is_transient() => {
                    let wait = backoff.failed();
                    if let Some(failures) = outage.failed() {
                        tracing::warn!(error = %Chain(&error), attempts = batch.len(), failures, retry_in = ?wait, "attempts could not be recorded");
                    }
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Counts the jobs that are dead now, and the attempts whose lease was lost.
    fn count(&self, batch: &[AttemptRecord], done: &RecordSummary) {
        let mut dead: HashMap<&TenantId, u64> = HashMap::new();
        for (place, record) in batch.iter().enumerate() {
            if record.verdict == Verdict::Dead && !done.lost.contains(&place) {
                *dead.entry(&record.tenant_id).or_default() += 1;
            }
        }
        for (tenant_id, jobs) in dead {
            self.metrics.jobs_failed(tenant_id, jobs);
        }
        if !done.lost.is_empty() {
            self.metrics.leases_lost.add(done.lost.len() as u64);
            tracing::warn!(
                attempts = done.lost.len(),
                "deliveries ended after their lease had passed and may be made again: the lease is too short or the store too slow"
            );
        }
    }
}

/// The job comes back when its lease has passed, so nothing is lost but this entry of the log.
fn lost(record: &AttemptRecord, error: &pulse_store::Error) {
    tracing::error!(error = %Chain(error), tenant = %record.tenant_id, job = %record.attempt.job_id, "an attempt cannot be recorded");
}
