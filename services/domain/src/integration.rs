//! Integrations: where messages go.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{IntegrationId, TenantId};

/// The two queues of delivery, with room of their own so that slow mail never starves webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// To machines: webhooks. Its gauge is `pending_jobs`.
    Integration,
    /// To people: chat. Its gauge is `pending_notification_jobs`.
    Notification,
}

impl Queue {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Integration, Self::Notification];

    /// The name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::Notification => "notification",
        }
    }

    /// The label `queue_name` of `pulse_queue_depth`.
    pub fn gauge_name(self) -> &'static str {
        match self {
            Self::Integration => "pending_jobs",
            Self::Notification => "pending_notification_jobs",
        }
    }
}

/// How a webhook's signing secret begins, as Standard Webhooks has it; base64 follows.
pub const SIGNING_SECRET_PREFIX: &str = "whsec_";
/// How many bytes a signing secret has, by the same standard.
pub const SIGNING_SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// Headers that Pulse or HTTP itself sets, in lower case: an integration's own may not. The families behind [`RESERVED_PREFIXES`] too.
const RESERVED_HEADERS: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "proxy-"];

/// Whether a header, named in lower case, is one that an integration may not set.
pub fn is_reserved_header(name: &str) -> bool {
    RESERVED_HEADERS.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// How to reach a destination. Secrets within are written by the API and never read back through it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// A POST of JSON, signed by Standard Webhooks (<https://www.standardwebhooks.com>).
    Webhook {
        url: String,
        /// Sent as they are; names that Pulse sets itself are refused.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// `whsec_` and base64 of 24 to 64 bytes; none: not signed.
        #[serde(default)]
        signing_secret: Option<String>,
    },
    /// An incoming webhook in Slack's format. The address itself is the secret.
    Slack { url: String },
}

impl Destination {
    /// The name in the API and the metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
        }
    }

    /// Which queue its jobs wait in.
    pub fn queue(&self) -> Queue {
        match self {
            Self::Webhook { .. } => Queue::Integration,
            Self::Slack { .. } => Queue::Notification,
        }
    }
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// A destination as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Integration {
    pub tenant_id: TenantId,
    pub integration_id: IntegrationId,
    pub name: String,
    pub enabled: bool,
    pub destination: Destination,
    pub created_at: Timestamp,
}
