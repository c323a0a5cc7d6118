//! The request to stop, handed down from `main`.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Whether somebody has asked the process to stop. Clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all who hold a clone or a child to stop.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether it is asked for.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is asked for.
    pub async fn triggered(&self) {
        self.0.cancelled().await;
    }

    /// Waits until it is asked for, and this much longer.
    pub async fn overdue(&self, grace: Duration) {
        self.triggered().await;
        tokio::time::sleep(grace).await;
    }

    /// Does the work, unless it is triggered first: then the work is cut, and there is no result.
    pub async fn unless_triggered<F: Future>(&self, work: F) -> Option<F::Output> {
        self.0.run_until_cancelled(work).await
    }

    /// A shutdown that is triggered together with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}
