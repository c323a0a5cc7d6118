//! Jobs: one delivery of one event over one route, from pending to delivered or dead.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{EventId, IntegrationId, JobId, RouteId, TenantId};
use crate::integration::Queue;
use crate::payload::Payload;
use crate::trace::TraceParent;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// Waits for its `run_at`.
    Pending,
    /// Claimed by a worker under a lease.
    Leased,
    Delivered,
    /// Given up; can be replayed.
    Dead,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Leased, Self::Delivered, Self::Dead];

    /// The name in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Leased => "LEASED",
            Self::Delivered => "DELIVERED",
            Self::Dead => "DEAD",
        }
    }
}

/// A job to be made: unique per tenant, event and route.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub tenant_id: TenantId,
    pub job_id: JobId,
    pub event_id: EventId,
    pub route_id: RouteId,
    pub integration_id: IntegrationId,
    pub queue: Queue,
    /// The message: see [`crate::message::of`].
    pub payload: Payload,
    pub run_at: Timestamp,
    /// Receipt of the reading at the root of it.
    pub origin_at: Option<Timestamp>,
    pub trace: Option<TraceParent>,
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    pub tenant_id: TenantId,
    pub job_id: JobId,
    pub event_id: EventId,
    pub route_id: RouteId,
    pub integration_id: IntegrationId,
    pub queue: Queue,
    pub state: JobState,
    /// Attempts begun, the current one included.
    pub attempts: u32,
    pub run_at: Timestamp,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub origin_at: Option<Timestamp>,
    pub payload: Payload,
    pub trace: Option<TraceParent>,
    /// The context of the latest attempt that was recorded, replayed or not: the next one names it.
    #[serde(skip)]
    pub attempt_trace: Option<TraceParent>,
    pub last_error: Option<String>,
}

/// How an attempt ended, by kind: decides on a retry *and* is the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// No answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// The certificate or the handshake.
    Tls,
    /// 4xx (and 3xx: redirects are not followed).
    Refused,
    /// 5xx.
    Server,
    /// The egress guard.
    Blocked,
    /// The integration's own settings, or it is gone.
    Config,
}

impl ErrorKind {
    /// All of them: the closed set of the label `kind`.
    pub const ALL: [Self; 7] = [Self::Timeout, Self::Connect, Self::Tls, Self::Refused, Self::Server, Self::Blocked, Self::Config];

    /// The name in metrics, logs and the attempts log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Refused => "refused",
            Self::Server => "server",
            Self::Blocked => "blocked",
            Self::Config => "config",
        }
    }
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: ErrorKind,
    /// The answer's status, when there was an answer.
    pub http_status: Option<u16>,
    /// For people; no secrets.
    pub detail: String,
    /// What the receiver asked for with Retry-After.
    pub retry_after: Option<std::time::Duration>,
}

impl Failure {
    /// Whether trying again can help: timeouts, connections and server errors can, and of the refusals 408, 425 and 429.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Timeout | ErrorKind::Connect | ErrorKind::Server => true,
            ErrorKind::Refused => matches!(self.http_status, Some(408 | 425 | 429)),
            ErrorKind::Tls | ErrorKind::Blocked | ErrorKind::Config => false,
        }
    }
}

/// One attempt, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    pub job_id: JobId,
    /// From 1.
    pub attempt: u32,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// None: delivered.
    pub error: Option<ErrorKind>,
    pub http_status: Option<u16>,
    pub detail: Option<String>,
}

/// What becomes of a job after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Pending again, not before this instant.
    Retry {
        run_at: Timestamp,
    },
    Dead,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_refusals_only_those_that_may_pass_are_retried() {
        let refused = |status| Failure { kind: ErrorKind::Refused, http_status: status, detail: String::new(), retry_after: None };
        for (status, retried) in [
            (Some(408), true),
            (Some(425), true),
            (Some(429), true),
            (Some(400), false),
            (Some(404), false),
            (Some(302), false),
            (None, false),
        ] {
            assert_eq!(refused(status).is_retryable(), retried, "{status:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_stored_form() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for state in JobState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
