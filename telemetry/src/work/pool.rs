//! A connection pool: its size, read at collection and so never stale, and how requests wait for its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::builtin::{POOL_ACQUIRE_DURATION, POOL_ACQUIRE_TIMEOUTS, POOL_FREE, POOL_MAX, POOL_SIZE, POOL_WAITING};
use crate::metrics::conventions;
use crate::metrics::handles::{BoundCounter, BoundHistogram};
use crate::metrics::instruments::Instruments;
use crate::metrics::labels::Labels;
use crate::metrics::observed::number;

type Read = Arc<dyn Fn() -> u32 + Send + Sync>;

/// Three closures over a pool, read at each collection; they must not block. With sqlx: `size()`, `num_idle()` and
/// `options().get_max_connections()`, each one atomic load.
pub struct PoolProbe {
    size: Read,
    idle: Read,
    max: Read,
}

impl PoolProbe {
    /// `size` counts idle connections in.
    pub fn new(
        size: impl Fn() -> u32 + Send + Sync + 'static,
        idle: impl Fn() -> u32 + Send + Sync + 'static,
        max: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Self {
        Self { size: Arc::new(size), idle: Arc::new(idle), max: Arc::new(max) }
    }

    /// `conventions`: the name under which the conventions' metrics show the pool too.
    pub(crate) fn observe(self, instruments: &Instruments, conventions: Option<&str>) {
        for (definition, read) in [(&POOL_SIZE, &self.size), (&POOL_FREE, &self.idle), (&POOL_MAX, &self.max)] {
            if let Some(observed) = instruments.observed(definition) {
                let read = Arc::clone(read);
                observed.add_series(&[], move || Some(f64::from(read())));
            }
        }
        if let Some(pool) = conventions {
            self.observe_conventions(instruments, pool);
        }
    }

    fn observe_conventions(self, instruments: &Instruments, pool: &str) {
        let Self { size, idle, max } = self;
        if let Some(count) = instruments.observed(&conventions::CONNECTION_COUNT) {
            let free = Arc::clone(&idle);
            count.add_series(&[(conventions::POOL_NAME, pool), (conventions::STATE, "idle")], move || Some(f64::from(free())));
            // One and the other are not read at the same moment.
            count.add_series(&[(conventions::POOL_NAME, pool), (conventions::STATE, "used")], move || {
                Some(f64::from(size().saturating_sub(idle())))
            });
        }
        if let Some(limit) = instruments.observed(&conventions::CONNECTION_MAX) {
            limit.add_series(&[(conventions::POOL_NAME, pool)], move || Some(f64::from(max())));
        }
    }
}

impl std::fmt::Debug for PoolProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolProbe").finish_non_exhaustive()
    }
}

/// How requests wait for a pool's connections: `pulse_db_pool_waiting`, `pulse_db_pool_acquire_duration_seconds` and
/// `pulse_db_pool_acquire_timeouts_total`. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct PoolWaits(Arc<Waits>);

#[derive(Debug)]
struct Waits {
    waiting: Arc<AtomicU64>,
    /// Our own, and the conventions' where they are on.
    durations: Vec<BoundHistogram>,
    timeouts: Vec<BoundCounter>,
}

impl PoolWaits {
    pub(crate) fn new(instruments: &Instruments, conventions: Option<&str>) -> Self {
        let waiting = Arc::new(AtomicU64::new(0));
        let show = |definition, labels: Labels<'_>| {
            if let Some(gauge) = instruments.observed(definition) {
                let waiting = Arc::clone(&waiting);
                gauge.add_series(labels, move || Some(number(waiting.load(Ordering::Relaxed))));
            }
        };
        show(&POOL_WAITING, &[]);
        let mut durations = vec![instruments.histogram(&POOL_ACQUIRE_DURATION).bind(&[])];
        let mut timeouts = vec![instruments.counter(&POOL_ACQUIRE_TIMEOUTS).bind(&[])];
        if let Some(pool) = conventions {
            let labels = &[(conventions::POOL_NAME, pool)];
            show(&conventions::CONNECTION_PENDING, labels);
            durations.push(instruments.histogram(&conventions::CONNECTION_WAIT_TIME).bind(labels));
            timeouts.push(instruments.counter(&conventions::CONNECTION_TIMEOUTS).bind(labels));
        }
        Self(Arc::new(Waits { waiting, durations, timeouts }))
    }

    /// A request for a connection begins to wait. Each has to [end](Self::end), also when it is given up.
    pub fn begin(&self) {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has waited for so long; `timed_out`: there was no connection in time.
    pub fn end(&self, waited: Duration, timed_out: bool) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.durations.iter().for_each(|duration| duration.record(waited.as_secs_f64()));
        if timed_out {
            self.0.timeouts.iter().for_each(|timeouts| timeouts.add(1));
        }
    }
}
