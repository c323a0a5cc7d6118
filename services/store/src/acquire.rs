//! How requests wait for a connection, told to whoever wants to know, as the pools themselves tell nobody.

use std::fmt::Debug;
use std::time::Duration;

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
