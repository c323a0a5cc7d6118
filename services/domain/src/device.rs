//! Devices: what stands in the registry, and what is known of each from its messages.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{DeviceId, GroupId, SiteId, TenantId};

/// Where a device stands in its life, as its owner sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Lifecycle {
    /// In service: its messages are taken and it is judged.
    Active,
    /// Out of service for now: its messages are taken, nothing opens.
    Inactive,
    /// Gone for good: its messages are refused as unregistered.
    Decommissioned,
    /// Its token is no longer trusted: its messages are refused.
    Revoked,
}

impl Lifecycle {
    /// All of them, in the order of a device's life.
    pub const ALL: [Self; 4] = [Self::Active, Self::Inactive, Self::Decommissioned, Self::Revoked];

    /// The name in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Decommissioned => "DECOMMISSIONED",
            Self::Revoked => "REVOKED",
        }
    }

    /// Whether alerts may open for it.
    pub fn is_judged(self) -> bool {
        self == Self::Active
    }
}

/// What its messages say of a device: ONLINE while the last is young enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeviceStatus {
    /// Registered, has never sent a message.
    Unknown,
    /// Its last message is at most `heartbeat_stale` old.
    Online,
    /// Silent for longer.
    Stale,
}

impl DeviceStatus {
    /// All of them: the closed set of the label `status`.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Online, Self::Stale];

    /// The name in the API, the store and the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Online => "ONLINE",
            Self::Stale => "STALE",
        }
    }
}

/// A registered device. Its token is not here: only the store knows the hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub tenant_id: TenantId,
    pub device_id: DeviceId,
    pub site_id: SiteId,
    pub device_type: String,
    pub group_ids: Vec<GroupId>,
    pub lifecycle: Lifecycle,
    pub created_at: Timestamp,
    /// From its messages; not settable.
    pub status: DeviceStatus,
    /// Receipt of its last message; none before the first.
    pub last_seen: Option<Timestamp>,
}

/// The tenant that is Pulse itself: alerts about its own services belong to it. Every store has it from the start.
pub const SYSTEM_TENANT: &str = "pulse-system";

/// A customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    pub tenant_id: TenantId,
    pub name: String,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_stored_form() {
        for lifecycle in Lifecycle::ALL {
            assert_eq!(serde_json::to_value(lifecycle).unwrap(), lifecycle.as_str());
            assert_eq!(lifecycle.is_judged(), lifecycle == Lifecycle::Active);
        }
        for status in DeviceStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
