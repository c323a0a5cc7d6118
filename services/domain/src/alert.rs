//! Alerts and their life: opened, perhaps escalated and acknowledged, closed. Every change is an event, and events are the dispatcher's queue.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{AlertId, DeviceId, EventId, RuleId, SiteId, TenantId};
use crate::rule::Severity;
use crate::trace::TraceParent;

/// What found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertType {
    /// A rule of type THRESHOLD.
    Threshold,
    /// A silent device.
    NoHeartbeat,
    /// A service of Pulse itself that does not answer.
    SystemHealth,
}

impl AlertType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Threshold, Self::NoHeartbeat, Self::SystemHealth];

    /// The name in the API, the store and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Threshold => "THRESHOLD",
            Self::NoHeartbeat => "NO_HEARTBEAT",
            Self::SystemHealth => "SYSTEM_HEALTH",
        }
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AlertStatus {
    Open,
    Acknowledged,
    Closed,
}

impl AlertStatus {
    /// All of them, in the order of an alert's life.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Closed];

    /// The name in the API, the store and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Acknowledged => "ACKNOWLEDGED",
            Self::Closed => "CLOSED",
        }
    }
}

/// What makes two findings the same alert, unique among a tenant's alerts that are not closed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// `RULE:{rule_id}:{device}`.
    pub fn rule(rule_id: RuleId, device_id: &DeviceId) -> Self {
        Self(format!("RULE:{rule_id}:{device_id}"))
    }

    /// `NO_HEARTBEAT:{device}`.
    pub fn no_heartbeat(device_id: &DeviceId) -> Self {
        Self(format!("NO_HEARTBEAT:{device_id}"))
    }

    /// `SYSTEM_HEALTH:{service}`.
    pub fn system_health(service: &str) -> Self {
        Self(format!("SYSTEM_HEALTH:{service}"))
    }

    /// As the store kept it.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An alert as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub tenant_id: TenantId,
    pub alert_id: AlertId,
    pub fingerprint: Fingerprint,
    pub device_id: DeviceId,
    pub site_id: SiteId,
    pub alert_type: AlertType,
    /// The rule that found it; none for a silent device or service.
    pub rule_id: Option<RuleId>,
    pub severity: Severity,
    /// From 0 to 1: how sure the finding is.
    pub confidence: f64,
    pub summary: String,
    /// A JSON object, never a string of JSON.
    pub details: serde_json::Value,
    pub status: AlertStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    pub closed_at: Option<Timestamp>,
    /// How often it has been escalated.
    pub escalation_level: u32,
    /// No notice of it goes out, and none of its kind opens, before this instant.
    pub silenced_until: Option<Timestamp>,
}

/// What happened to an alert; a route says which it wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventKind {
    /// It opened. The name is OPEN, as routes and receivers know it.
    Open,
    Acknowledged,
    Escalated,
    Closed,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Acknowledged, Self::Escalated, Self::Closed];

    /// The name in the API, the store and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Acknowledged => "ACKNOWLEDGED",
            Self::Escalated => "ESCALATED",
            Self::Closed => "CLOSED",
        }
    }
}

/// One change in an alert's life, with the alert as it stood then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    pub event_id: EventId,
    pub kind: EventKind,
    pub at: Timestamp,
    /// Receipt of the reading that caused it; none when no reading did. Latency to delivery is measured from it.
    pub origin_at: Option<Timestamp>,
    pub trace: Option<TraceParent>,
    /// The alert after the change.
    pub alert: Alert,
}

/// What brought a change about: carried into its event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cause {
    /// Receipt of the reading, when a reading did.
    pub origin_at: Option<Timestamp>,
    pub trace: Option<TraceParent>,
}

/// A change that a judgement makes, for the store to carry out in one transaction with its event.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertChange {
    /// Open it, unless one with its fingerprint is open already or its rule is gone. Event OPEN.
    Open { alert: Box<Alert>, cause: Cause },
    /// It fires still: severity, summary and details of the latest judgement. No event. The severity is the rule's own: what
    /// escalations have raised it by is kept on top.
    Update { alert_id: AlertId, severity: Severity, summary: String, details: serde_json::Value, at: Timestamp },
    /// It fires no longer. Event CLOSED.
    Close { alert_id: AlertId, at: Timestamp, cause: Cause },
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An open alert of severity 3 on device `d1` at site `s1`, opened at the epoch.
    pub(crate) fn alert() -> Alert {
        let device_id = DeviceId::parse("d1").unwrap();
        let rule_id = RuleId::generate();
        Alert {
            tenant_id: TenantId::parse("t1").unwrap(),
            alert_id: AlertId::generate(),
            fingerprint: Fingerprint::rule(rule_id, &device_id),
            device_id,
            site_id: SiteId::parse("s1").unwrap(),
            alert_type: AlertType::Threshold,
            rule_id: Some(rule_id),
            severity: Severity::new(3).unwrap(),
            confidence: 1.0,
            summary: "Too warm on d1: temp 90 > 80".to_owned(),
            details: serde_json::json!({"metric_name": "temp"}),
            status: AlertStatus::Open,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            acknowledged_at: None,
            acknowledged_by: None,
            closed_at: None,
            escalation_level: 0,
            silenced_until: None,
        }
    }

    /// An event of such an alert.
    pub(crate) fn event(kind: EventKind) -> AlertEvent {
        AlertEvent { event_id: EventId::generate(), kind, at: Timestamp::UNIX_EPOCH, origin_at: None, trace: None, alert: alert() }
    }

    #[test]
    fn names_are_those_of_the_stored_form() {
        for kind in AlertType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for status in AlertStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn fingerprints_tell_findings_apart() {
        let (rule_id, device_id) = (RuleId::generate(), DeviceId::parse("d:1").unwrap());
        assert_eq!(Fingerprint::rule(rule_id, &device_id).as_str(), format!("RULE:{rule_id}:d:1"));
        assert_eq!(Fingerprint::no_heartbeat(&device_id).as_str(), "NO_HEARTBEAT:d:1");
        assert_eq!(Fingerprint::system_health("ui_api").as_str(), "SYSTEM_HEALTH:ui_api");
    }
}
