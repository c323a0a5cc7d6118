//! Identifiers. Names that people and devices choose are checked text; what Pulse makes itself is a UUID version 7, which sorts by the
//! time it was made.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest name, in bytes.
pub const NAME_MAX_BYTES: usize = 128;

/// A name that does not fit: it says what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {NAME_MAX_BYTES} characters of A-Z a-z 0-9 . _ : - and start with a letter or a digit")]
pub struct InvalidName {
    what: &'static str,
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= NAME_MAX_BYTES
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Checks the text: 1 to 128 of `A-Z a-z 0-9 . _ : -`, the first a letter or a digit.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) { Ok(Self(Arc::from(text))) } else { Err(InvalidName { what: $what }) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A customer: everything belongs to exactly one. The one open metric label.
    TenantId, "tenant_id"
);
name!(
    /// A device, unique within its tenant.
    DeviceId, "device_id"
);
name!(
    /// A place where devices stand, unique within its tenant.
    SiteId, "site_id"
);
name!(
    /// A set of devices, unique within its tenant.
    GroupId, "group_id"
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, later than those made before it.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A rule.
    RuleId
);
uuid_id!(
    /// An alert.
    AlertId
);
uuid_id!(
    /// One change in an alert's life; the stable id that receivers see as `webhook-id` is made from it and the route.
    EventId
);
uuid_id!(
    /// A route from events to an integration.
    RouteId
);
uuid_id!(
    /// A destination: a webhook, a chat channel.
    IntegrationId
);
uuid_id!(
    /// One delivery of one event over one route.
    JobId
);
uuid_id!(
    /// An escalation policy.
    PolicyId
);
uuid_id!(
    /// An API token's public handle (the secret itself is never kept).
    TokenId
);
uuid_id!(
    /// One claim: what was claimed under it may only be finished under it.
    LeaseId
);

/// A device within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceKey {
    pub tenant_id: TenantId,
    pub device_id: DeviceId,
}

/// A reading's place in its device's order: larger is later. Assigned by the store, never by the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReadingId(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "tenant-1", "9", "a.b_c:d-e", &"x".repeat(128)] {
            assert_eq!(DeviceId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a b", "a/b", "é", "a\n", &"x".repeat(129)] {
            let error = TenantId::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("tenant_id must be 1 to 128 characters"), "{error}");
        }
    }

    #[test]
    fn names_are_checked_when_deserialized() {
        assert!(serde_json::from_str::<SiteId>("\"a b\"").is_err());
        assert_eq!(serde_json::to_string(&SiteId::parse("s1").unwrap()).unwrap(), "\"s1\"");
    }
}
