//! What the driver counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Result;
use crate::latency::{LatencySummary, SharedLatencies};

/// The driver's numbers at one moment. `sent = accepted + rejected + given_up + under way`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DriveStats {
    /// Since the fleet began to report, in seconds.
    pub elapsed_s: f64,
    /// Readings whose first attempt has begun.
    pub sent: u64,
    /// Readings that the server said are durable.
    pub accepted: u64,
    /// Readings refused for good.
    pub rejected: u64,
    /// The same by the server's reason, or by status where it gave none.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Readings sent once more, each time.
    pub retried: u64,
    /// Readings given up after all retries, or unanswered at the end.
    pub given_up: u64,
    /// Readings never sent, because their reporter was too far behind.
    pub skipped: u64,
    /// Requests answered.
    pub requests: u64,
    /// Requests that found no server, or lost it.
    pub connection_errors: u64,
    /// How long the message that is due longest has been waiting for its answer or its turn, in milliseconds; 0 when none is.
    pub lag_ms: u64,
    /// From the beginning of a request to its answer; retries are requests of their own.
    pub request_latency: LatencySummary,
}

/// The driver's counters, written by its reporters and read by whoever shows them.
#[derive(Debug)]
pub struct DriveTally {
    started: OnceLock<Started>,
    pub(super) sent: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) skipped: AtomicU64,
    requests: AtomicU64,
    pub(super) connection_errors: AtomicU64,
    rejected: Mutex<BTreeMap<String, u64>>,
    latency: SharedLatencies,
}

#[derive(Debug)]
struct Started {
    at: Instant,
    /// When the oldest message that each reporter is busy with became due, in microseconds from the start, or [`IDLE`].
    due_of_reporter: Vec<AtomicU64>,
}

/// The reporter has nothing that is due.
const IDLE: u64 = u64::MAX;

impl DriveTally {
    /// All at 0.
    pub fn new() -> Result<Self> {
        Ok(Self {
            started: OnceLock::new(),
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            connection_errors: AtomicU64::new(0),
            rejected: Mutex::default(),
            latency: SharedLatencies::new()?,
        })
    }

    /// The numbers now.
    pub fn stats(&self) -> DriveStats {
        let started = self.started.get();
        let rejected_by_reason = self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        DriveStats {
            elapsed_s: started.map_or(0.0, |started| started.at.elapsed().as_secs_f64()),
            sent: self.sent.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            rejected: rejected_by_reason.values().sum(),
            rejected_by_reason,
            retried: self.retried.load(Ordering::Relaxed),
            given_up: self.given_up.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            connection_errors: self.connection_errors.load(Ordering::Relaxed),
            lag_ms: started.map_or(0, Started::lag_ms),
            request_latency: self.latency.summary(),
        }
    }

    pub(super) fn started(&self, at: Instant, reporters: usize) {
        let due_of_reporter = (0..reporters).map(|_| AtomicU64::new(IDLE)).collect();
        // A tally serves one run; a second one goes on counting from the first one's start.
        drop(self.started.set(Started { at, due_of_reporter }));
    }

    /// The reporter is busy with messages, the oldest of which was due then.
    pub(super) fn busy(&self, reporter: usize, due: Duration) {
        self.due(reporter, u64::try_from(due.as_micros()).unwrap_or(IDLE));
    }

    /// The reporter has settled all that is due.
    pub(super) fn idle(&self, reporter: usize) {
        self.due(reporter, IDLE);
    }

    fn due(&self, reporter: usize, micros: u64) {
        if let Some(due) = self.started.get().and_then(|started| started.due_of_reporter.get(reporter)) {
            due.store(micros, Ordering::Relaxed);
        }
    }

    pub(super) fn answered(&self, latency: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.latency.record(latency);
    }

    pub(super) fn rejected(&self, reason: String) {
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }
}

impl Started {
    fn lag_ms(&self) -> u64 {
        let now = self.at.elapsed();
        let due = self.due_of_reporter.iter().map(|due| due.load(Ordering::Relaxed)).filter(|due| *due != IDLE);
        due.min().map_or(0, |due| u64::try_from(now.saturating_sub(Duration::from_micros(due)).as_millis()).unwrap_or(u64::MAX))
    }
}

pub(super) fn count(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}
