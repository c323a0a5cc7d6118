//! The wish to stop, handed down from `main`.

use tokio_util::sync::CancellationToken;

/// Asked to stop? Clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Not yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks all who hold a clone or a child to stop.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether it was asked.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is.
    pub async fn triggered(&self) {
        self.0.cancelled().await;
    }

    /// One that is triggered with this, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}
