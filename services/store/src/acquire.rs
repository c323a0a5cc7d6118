//! How requests wait for a connection, told to whoever wants to know, as the pools themselves tell nobody.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Is told of every request for a connection, on its way: so it must be quick and not block.
pub trait AcquireObserver: Debug + Send + Sync + 'static {
    /// A request begins to wait.
    fn waits(&self);

    /// It waits no more; called once for each [`waits`](Self::waits), also when the request is dropped.
    fn waited(&self, wait: Duration, end: AcquireEnd);
}

/// How a request's wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcquireEnd {
    /// With a connection.
    Acquired,
    /// With none in time.
    TimedOut,
    /// With an error: the pool is closed, the database cannot be reached.
    Failed,
    /// Whoever asked went away.
    GivenUp,
}

/// The observer of a store, once it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acquires(Arc<OnceLock<Arc<dyn AcquireObserver>>>);

impl Acquires {
    /// The first observer stays.
    pub(crate) fn observe(&self, observer: Arc<dyn AcquireObserver>) {
        self.0.get_or_init(|| observer);
    }

    /// Waits for a connection before the observer's eyes.
    pub(crate) async fn observed<T>(&self, acquire: impl Future<Output = Result<T>>) -> Result<T> {
        let mut wait = self.0.get().map(|observer| Wait::begin(&**observer));
        let acquired = acquire.await;
        if let Some(wait) = &mut wait {
            wait.end = match &acquired {
                Ok(_) => AcquireEnd::Acquired,
                Err(error) if is_timeout(error) => AcquireEnd::TimedOut,
                Err(_) => AcquireEnd::Failed,
            };
        }
        acquired
    }
}

/// Whether others held all connections for as long as may be waited.
fn is_timeout(error: &Error) -> bool {
    let Error::Unavailable(source) = error else { return false };
    matches!(source.downcast_ref(), Some(sqlx::Error::PoolTimedOut))
}

/// A request that waits, until it is dropped.
struct Wait<'a> {
    observer: &'a dyn AcquireObserver,
    began: Instant,
    end: AcquireEnd,
}

impl<'a> Wait<'a> {
    fn begin(observer: &'a dyn AcquireObserver) -> Self {
        observer.waits();
        Self { observer, began: Instant::now(), end: AcquireEnd::GivenUp }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.observer.waited(self.began.elapsed(), self.end);
    }
}
