//! A connection pool's gauges, read at collection and so never stale.

use crate::builtin::{POOL_FREE, POOL_MAX, POOL_SIZE};
use crate::instruments::Instruments;

type Read = Box<dyn Fn() -> u32 + Send + Sync>;

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
        Self { size: Box::new(size), idle: Box::new(idle), max: Box::new(max) }
    }

    pub(crate) fn observe(self, instruments: &Instruments) {
        for (definition, read) in [(&POOL_SIZE, self.size), (&POOL_FREE, self.idle), (&POOL_MAX, self.max)] {
            if let Some(observed) = instruments.observed(definition) {
                observed.add_series(&[], move || Some(f64::from(read())));
            }
        }
    }
}

impl std::fmt::Debug for PoolProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolProbe").finish_non_exhaustive()
    }
}
