//! What every service is given, and the wiring between store and telemetry, which do not know each other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::Timestamp;
use pulse_store::{AcquireEnd, AcquireObserver, Backlog, SharedStore};
use pulse_telemetry::{PoolProbe, PoolWaits, QueueProbe, QueueSample, Telemetry};

use crate::{Clock, Spans, database_check};

/// A service's own store, telemetry, clock and spans.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database, through a pool of the service's own.
    pub store: SharedStore,
    /// The service's metrics, spans and log records.
    pub telemetry: Telemetry,
    /// What time it is.
    pub clock: Clock,
    /// The spans of work, calls and requests.
    pub spans: Spans,
}

impl Deps {
    /// Wires the pool's metrics (`pulse_db_pool_*`: the pool read at collection, waits for its connections observed) and /ready's check of
    /// the database.
    pub fn new(store: SharedStore, telemetry: Telemetry, clock: Clock) -> Self {
        let read = |field: fn(pulse_store::PoolStatus) -> u32| {
            let store = Arc::clone(&store);
            move || field(store.pool())
        };
        telemetry.observe_pool(PoolProbe::new(read(|pool| pool.size), read(|pool| pool.idle), read(|pool| pool.max)));
        store.observe_acquires(Arc::new(Waits(telemetry.pool_waits())));
        let spans = Spans::new(telemetry.tracer(), &*store);
        let deps = Self { store, telemetry, clock, spans };
        deps.watch_database();
        deps
    }

    /// Has /ready ask the database, as it does unless somebody has it tell something else.
    pub fn watch_database(&self) {
        database_check::watch_database(&self.telemetry, &self.store, &self.clock);
    }

    /// Samples the true depth of a queue and the age of its oldest entry from the store, on a task of its own until the probe is dropped.
    pub fn queue_probe<F, Fut>(&self, name: &'static str, every: Duration, count: F) -> QueueProbe
    where
        F: Fn(SharedStore, Timestamp) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = pulse_store::Result<Backlog>> + Send + 'static,
    {
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        self.telemetry.queue(name, every, move || {
            let now = clock.now();
            let counted = count(Arc::clone(&store), now);
            async move {
                let backlog = counted.await?;
                let oldest_age = backlog.oldest_at.and_then(|at| (now - at).to_std().ok()).unwrap_or_default();
                Ok::<_, pulse_store::Error>(QueueSample { depth: backlog.depth, oldest_age })
            }
        })
    }
}

/// Waits for a connection, as the store tells of them.
#[derive(Debug)]
struct Waits(PoolWaits);

impl AcquireObserver for Waits {
    fn waits(&self) {
        self.0.begin();
    }

    fn waited(&self, wait: Duration, end: AcquireEnd) {
        self.0.end(wait, end == AcquireEnd::TimedOut);
    }
}
