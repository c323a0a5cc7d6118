//! What both doors share: what a message is checked against, where readings go, and what is said when they could not go there.

use std::sync::Arc;

use pulse_domain::ids::DeviceKey;
use pulse_domain::reading::RejectReason;

use super::credentials::{self, Credentials, Known};
use super::group_commit::Writer;
use super::message_check::Refusal;
use super::queue::WriteError;
use super::rate_limits::RateLimits;
use crate::body::{BodyError, kib};
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem};

/// What is said while the store cannot be asked who a device is.
pub(crate) const CREDENTIALS_UNAVAILABLE: &str = "the device cannot be looked up now: send the reading again";

/// What the doors share.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(super) metrics: Arc<Metrics>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) limits: RateLimits,
    pub(super) writer: Writer,
    pub(super) body_max_bytes: usize,
    pub(super) batch_max: usize,
}

impl Ingest {
    /// A device has changed: its next message is judged by what it is now.
    pub(crate) fn forget(&self, key: &DeviceKey) {
        self.credentials.forget(key);
    }

    /// Gives back the memory of senders that are silent.
    pub(crate) fn sweep(&self) {
        self.limits.sweep();
    }

    /// Asks the store for devices that are not in memory.
    pub(super) async fn load(&self, keys: Vec<DeviceKey>) -> Result<Vec<Known>, Refusal> {
        let loaded = self.credentials.load(keys).await;
        loaded.map_err(|credentials::Unavailable| Refusal::new(RejectReason::Unavailable, CREDENTIALS_UNAVAILABLE))
    }
}

/// What is said of a body that could not be read.
pub(super) fn unread(error: BodyError, max_bytes: usize) -> Refusal {
    match error {
        BodyError::TooLarge => {
            Refusal::new(RejectReason::PayloadTooLarge, format!("the body is larger than {}, the most that is taken", kib(max_bytes)))
        }
        BodyError::TooSlow => Refusal::new(RejectReason::Invalid, "the body did not arrive in time").seen_as(Kind::Timeout),
        BodyError::Broken => Refusal::new(RejectReason::Invalid, "the body ended before it was whole"),
    }
}

/// The answer for readings that could not be made durable. Nothing was promised, so nothing is lost.
pub(super) fn not_durable(error: WriteError) -> Problem {
    match error {
        WriteError::Unavailable => {
            Problem::new(Kind::Rejected(RejectReason::Unavailable), "the reading could not be made durable: send it again")
        }
        WriteError::Defect => Problem::internal(),
    }
}
