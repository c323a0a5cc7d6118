//! What a receiver gets: the JSON of a delivery.

use serde::Serialize;
use serde_json::Value;

use crate::Timestamp;
use crate::alert::{AlertEvent, AlertStatus, AlertType, EventKind};
use crate::ids::{AlertId, DeviceId, EventId, SiteId, TenantId};
use crate::payload::Payload;
use crate::rule::Severity;

/// In the order in which receivers get the fields.
#[derive(Serialize)]
struct Message<'a> {
    event_id: EventId,
    event: EventKind,
    tenant_id: &'a TenantId,
    alert_id: AlertId,
    site_id: &'a SiteId,
    device_id: &'a DeviceId,
    alert_type: AlertType,
    severity: Severity,
    confidence: f64,
    summary: &'a str,
    status: AlertStatus,
    created_at: Timestamp,
    details: &'a Value,
    #[serde(flatten)]
    escalation: Option<Escalation>,
}

#[derive(Serialize)]
struct Escalation {
    escalated: bool,
    escalation_level: u32,
}

/// The message of an event: the reference platform's webhook body, plus `event_id` and `event`.
///
/// `status` is the alert's; escalated events add `escalated` and `escalation_level`. Times are RFC 3339 in UTC.
pub fn of(event: &AlertEvent) -> Payload {
    let alert = &event.alert;
    let escalation = Escalation { escalated: true, escalation_level: alert.escalation_level };
    Payload::of(&Message {
        event_id: event.event_id,
        event: event.kind,
        tenant_id: &alert.tenant_id,
        alert_id: alert.alert_id,
        site_id: &alert.site_id,
        device_id: &alert.device_id,
        alert_type: alert.alert_type,
        severity: alert.severity,
        confidence: alert.confidence,
        summary: &alert.summary,
        status: alert.status,
        created_at: alert.created_at,
        details: &alert.details,
        escalation: (event.kind == EventKind::Escalated).then_some(escalation),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::event;

    #[test]
    fn a_message_holds_the_fields_that_receivers_know() {
        for kind in EventKind::ALL {
            let event = event(kind);
            let message = of(&event).to_value();
            let mut fields: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
            fields.sort_unstable();
            let mut expected = vec![
                "alert_id",
                "alert_type",
                "confidence",
                "created_at",
                "details",
                "device_id",
                "event",
                "event_id",
                "severity",
                "site_id",
                "status",
                "summary",
                "tenant_id",
            ];
            if kind == EventKind::Escalated {
                expected.extend(["escalated", "escalation_level"]);
                expected.sort_unstable();
            }
            assert_eq!(fields, expected);
            assert_eq!(message["event"], kind.as_str());
        }
    }

    #[test]
    fn details_are_data_and_times_are_rfc_3339() {
        let message = of(&event(EventKind::Open)).to_value();
        assert_eq!(message["details"]["metric_name"], "temp");
        assert_eq!(message["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!((message["severity"].as_u64(), message["confidence"].as_f64()), (Some(3), Some(1.0)));
        assert_eq!((message["status"].as_str(), message["alert_type"].as_str()), (Some("OPEN"), Some("THRESHOLD")));
    }

    #[test]
    fn an_escalation_says_its_level() {
        let mut escalated = event(EventKind::Escalated);
        escalated.alert.escalation_level = 2;
        let message = of(&escalated).to_value();
        assert_eq!((message["escalated"].as_bool(), message["escalation_level"].as_u64()), (Some(true), Some(2)));
    }
}
