//! Makes readings durable, many requests in one commit.
//!
//! The queue is bounded in readings. One task takes everything that waits the moment the write before is done, so that the slower the
//! database is, the larger the groups are. Whoever waits is answered when its own readings are durable, or can be known not to be. Readings
//! that are in the queue are written whether or not the one who sent them still waits.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::reading::{NewReading, RejectReason};
use pulse_domain::trace::TraceParent;
use pulse_runtime::{Chain, Clock, Outage, Spans};
use pulse_store::{SharedStore, within};
use pulse_telemetry::Activity;

use super::gap::Gap;
use super::queue::{Draft, Group, Queue, Refused, WriteError};
use crate::metrics::{INGEST_WRITE, Metrics};

/// The name of the store's call in spans.
const APPEND_READINGS: &str = "append_readings";
/// The longest one write may take; the store then has all of it or nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often an idle writer shows that it lives.
const IDLE_BEAT: Duration = Duration::from_secs(1);
/// Without a sign of life for so long, the service is not ready.
pub(crate) const BEAT_DEADLINE: Duration = Duration::from_secs(20);

/// The doors' side: hands readings over and waits for them.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Arc<Queue>,
    clock: Clock,
    metrics: Arc<Metrics>,
    gap: Arc<Gap>,
}

impl Writer {
    pub(crate) fn new(queue: Arc<Queue>, clock: Clock, metrics: Arc<Metrics>, gap: Arc<Gap>) -> Self {
        Self { queue, clock, metrics, gap }
    }

    /// Returns once all of them are durable. Their receipt is the moment they join the queue. They are counted here or, once queued, by
    /// the one who writes them, so that they count even if the caller leaves.
    pub(crate) async fn write(&self, drafts: Vec<Draft>) -> Result<(), WriteError> {
        let answer = match self.queue.push(drafts, || self.clock.now()) {
            Ok(answer) => answer,
            Err((refused, drafts)) => {
                if refused == Refused::Full {
                    self.metrics.ingest.dropped(drafts.len() as u64);
                }
                self.gap.readings_were_refused();
                for draft in &drafts {
                    draft.device.meter.rejected(RejectReason::Unavailable, 1);
                }
                return Err(WriteError::Unavailable);
            }
        };
        // The writer answers everyone, and a writer that panicked ends the service.
        answer.await.unwrap_or(Err(WriteError::Unavailable))
    }
}

/// The task that writes.
pub(crate) struct WriteLoop {
    pub(crate) queue: Arc<Queue>,
    pub(crate) store: SharedStore,
    pub(crate) spans: Spans,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gap: Arc<Gap>,
    pub(crate) activity: Activity,
    /// An outage of the store.
    pub(crate) outage: Outage,
    /// The most readings in one write.
    pub(crate) group_max: usize,
}

impl WriteLoop {
    /// Writes until the queue is closed and empty.
    pub(crate) async fn run(mut self) {
        loop {
            self.activity.beat();
            match self.queue.take(self.group_max) {
                Some(group) => {
                    // In a trace of its own: its requests are many.
                    let span = self.spans.tracer().span(INGEST_WRITE).root().causes(group.traces().map(TraceParent::as_str)).start();
                    span.in_scope(self.write(group)).await;
                }
                None if self.queue.is_closed() => break,
                None => {
                    // Either way the queue is looked at again.
                    drop(tokio::time::timeout(IDLE_BEAT, self.queue.filled()).await);
                }
            }
        }
        self.activity.finish();
    }

    /// Writes a group. When the store refuses its content, the group is halved until what it refuses stands alone: a reading that cannot be
    /// kept never takes others with it.
    async fn write(&mut self, mut group: Group) {
        let whole = 0..group.requests();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            match self.append(group.readings_of(&part)).await {
                Ok(()) => {
                    self.outage.ended();
                    group.answer(part, Ok(()));
                }
                Err(error) if part.len() > 1 && !error.is_transient() => parts.extend(halves(part)),
                Err(error) => {
                    self.failed(&error);
                    let answer = if error.is_transient() { WriteError::Unavailable } else { WriteError::Defect };
                    group.answer(part, Err(answer));
                }
            }
        }
        self.queue.written(&group);
    }

    async fn append(&self, readings: &[NewReading]) -> pulse_store::Result<()> {
        let append = self.spans.query(APPEND_READINGS, readings.len(), self.store.append_readings(readings));
        self.metrics.ingest_write.run(within(WRITE_TIMEOUT, append)).await
    }

    fn failed(&mut self, error: &pulse_store::Error) {
        self.gap.readings_were_refused();
        if let Some(failures) = self.outage.failed() {
            tracing::error!(error = %Chain(error), failures, "readings cannot be written: they are refused until they can");
        }
    }
}

/// The second half first, as parts are taken from the end: order is kept.
fn halves(part: Range<usize>) -> [Range<usize>; 2] {
    let middle = part.start + part.len() / 2;
    [middle..part.end, part.start..middle]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_in_order() {
        let whole = 0..5;
        let mut parts = vec![whole];
        let mut order = Vec::new();
        while let Some(part) = parts.pop() {
            if part.len() > 1 { parts.extend(halves(part)) } else { order.push(part.start) }
        }
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }
}
