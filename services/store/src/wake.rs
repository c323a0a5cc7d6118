//! Wake-ups: a hint that there is work, so that a cycle need not wait for its next poll.

use tokio::sync::watch;

/// What a wake-up is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Devices to evaluate.
    Readings,
    /// Events to dispatch.
    Events,
    /// Jobs to deliver.
    Jobs,
}

/// The receiving end of a topic. Call [`Wake::arm`] before looking for work: what is signalled after that is not lost.
#[derive(Debug, Clone)]
pub struct Wake(watch::Receiver<u64>);

impl Wake {
    /// Listens to a counter that grows with every signal.
    pub fn new(counter: watch::Receiver<u64>) -> Self {
        Self(counter)
    }

    /// Forgets the signals so far.
    pub fn arm(&mut self) {
        self.0.borrow_and_update();
    }

    /// Waits for a signal since [`Wake::arm`]; for ever when the store is closed.
    pub async fn signalled(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
