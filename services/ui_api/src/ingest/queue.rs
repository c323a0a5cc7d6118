//! Readings that wait to be written: bounded, in order of receipt, each with the request that waits for it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulse_domain::Timestamp;
use pulse_domain::reading::{Metrics, NewReading, ReadingKind, RejectReason};
use pulse_domain::trace::TraceParent;
use tokio::sync::{Notify, oneshot};

use super::credentials::KnownDevice;
use crate::metrics::TenantMeter;

/// A reading that was judged and found good; its receipt is not yet stamped.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) device: Arc<KnownDevice>,
    pub(crate) kind: ReadingKind,
    /// The device's own time, where it gave one.
    pub(crate) ts: Option<Timestamp>,
    pub(crate) seq: Option<i64>,
    pub(crate) metrics: Metrics,
    pub(crate) trace: Option<TraceParent>,
}

impl Draft {
    fn received(self, at: Timestamp) -> (NewReading, Arc<TenantMeter>) {
        let reading = NewReading {
            key: self.device.key.clone(),
            kind: self.kind,
            ts: self.ts.unwrap_or(at),
            received_at: at,
            site_id: self.device.site_id.clone(),
            seq: self.seq,
            metrics: self.metrics,
            trace: self.trace,
        };
        (reading, Arc::clone(&self.device.meter))
    }
}

/// Why readings did not join the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    /// The service ends.
    Closed,
}

/// Why readings are not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// Sending them again later may help.
    Unavailable,
    /// The store refuses them: a defect of ours.
    Defect,
}

/// How a request learns of its readings.
pub(crate) type Answer = oneshot::Receiver<Result<(), WriteError>>;
type Reply = oneshot::Sender<Result<(), WriteError>>;

#[derive(Debug)]
struct Request {
    readings: usize,
    reply: Reply,
}

#[derive(Debug, Default)]
struct Waiting {
    readings: VecDeque<NewReading>,
    /// The tenant of each reading.
    meters: VecDeque<Arc<TenantMeter>>,
    requests: VecDeque<Request>,
    /// Receipt of the oldest reading that is being written.
    being_written: Option<Timestamp>,
    /// No receipt is before one that was stamped earlier, even if the clock is set back.
    last_receipt: Option<Timestamp>,
    closed: bool,
}

/// The queue between the doors and the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// Readings waiting and being written.
    depth: AtomicUsize,
    depth_max: usize,
    filled: Notify,
}

impl Queue {
    /// An empty one for at most so many readings.
    pub(crate) fn new(depth_max: usize) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), depth: AtomicUsize::new(0), depth_max, filled: Notify::new() })
    }

    /// Adds a request's readings, all or none; gives them back when they are refused. The receipt is stamped in here, so that none is ever
    /// earlier than what [`Queue::oldest`] has said.
    pub(crate) fn push(&self, drafts: Vec<Draft>, now: impl FnOnce() -> Timestamp) -> Result<Answer, (Refused, Vec<Draft>)> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err((Refused::Closed, drafts));
        }
        if self.depth() + drafts.len() > self.depth_max {
            return Err((Refused::Full, drafts));
        }
        let now = now();
        let receipt = waiting.last_receipt.map_or(now, |last| last.max(now));
        waiting.last_receipt = Some(receipt);
        self.depth.fetch_add(drafts.len(), Ordering::AcqRel);
        let (reply, answer) = oneshot::channel();
        waiting.requests.push_back(Request { readings: drafts.len(), reply });
        for draft in drafts {
            let (reading, meter) = draft.received(receipt);
            waiting.readings.push_back(reading);
            waiting.meters.push_back(meter);
        }
        drop(waiting);
        self.filled.notify_one();
        Ok(answer)
    }

    /// The requests that wait the longest, with at most `readings_max` readings together, but at least one request.
    pub(crate) fn take(&self, readings_max: usize) -> Option<Group> {
        let mut waiting = self.lock();
        let mut readings = 0;
        let mut requests = 0;
        for request in &waiting.requests {
            if requests > 0 && readings + request.readings > readings_max {
                break;
            }
            readings += request.readings;
            requests += 1;
        }
        if requests == 0 {
            return None;
        }
        let mut end = 0;
        let group = Group {
            readings: waiting.readings.drain(..readings).collect(),
            meters: waiting.meters.drain(..readings).collect(),
            requests: waiting
                .requests
                .drain(..requests)
                .map(|request| {
                    let start = end;
                    end += request.readings;
                    (start..end, Some(request.reply))
                })
                .collect(),
        };
        waiting.being_written = group.readings.first().map(|reading| reading.received_at);
        Some(group)
    }

    /// A group is done with, well or not.
    pub(crate) fn written(&self, group: &Group) {
        self.lock().being_written = None;
        self.depth.fetch_sub(group.readings.len(), Ordering::AcqRel);
    }

    /// Receipt of the oldest reading that is not yet done with; the present when there is none.
    pub(crate) fn oldest(&self, now: impl FnOnce() -> Timestamp) -> Timestamp {
        let waiting = self.lock();
        waiting.being_written.or_else(|| waiting.readings.front().map(|reading| reading.received_at)).unwrap_or_else(now)
    }

    /// Waits until something joined since the last [`Queue::take`], or the queue was closed.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Whether it takes nothing more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Readings waiting and being written.
    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Readings of many requests, to be written at once.
#[derive(Debug)]
pub(crate) struct Group {
    readings: Vec<NewReading>,
    meters: Vec<Arc<TenantMeter>>,
    /// The place of each request's readings, and where its answer goes until it was given.
    requests: Vec<(Range<usize>, Option<Reply>)>,
}

impl Group {
    /// How many requests it holds.
    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// The context of each request that has one.
    pub(crate) fn traces(&self) -> impl Iterator<Item = &TraceParent> {
        self.requests.iter().filter_map(|(readings, _)| self.readings.get(readings.start)?.trace.as_ref())
    }

    /// The readings of some of the requests.
    pub(crate) fn readings_of(&self, requests: &Range<usize>) -> &[NewReading] {
        &self.readings[self.span(requests)]
    }

    /// Counts the readings of some requests and tells those who still wait.
    pub(crate) fn answer(&mut self, requests: Range<usize>, result: Result<(), WriteError>) {
        for meter in &self.meters[self.span(&requests)] {
            match result {
                Ok(()) => meter.accepted(),
                Err(_) => meter.rejected(RejectReason::Unavailable, 1),
            }
        }
        for (_, reply) in &mut self.requests[requests] {
            if let Some(reply) = reply.take() {
                // Whoever left is not told.
                reply.send(result).ok();
            }
        }
    }

    fn span(&self, requests: &Range<usize>) -> Range<usize> {
        match &self.requests[requests.clone()] {
            [] => 0..0,
            [(only, _)] => only.clone(),
            [(first, _), .., (last, _)] => first.start..last.end,
        }
    }
}
