//! Alerts as the view `alert_snapshots` writes them: one JSON object each, in what is read and in what events keep.

use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertStatus, AlertType, Fingerprint};
use pulse_domain::ids::{AlertId, DeviceId, RuleId, SiteId, TenantId};
use pulse_domain::rule::Severity;
use serde::Deserialize;

use crate::{Error, Result};

/// An alert with its times in microseconds.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredAlert {
    tenant_id: TenantId,
    alert_id: AlertId,
    fingerprint: Fingerprint,
    device_id: DeviceId,
    site_id: SiteId,
    alert_type: AlertType,
    rule_id: Option<RuleId>,
    severity: Severity,
    confidence: f64,
    summary: String,
    details: serde_json::Value,
    status: AlertStatus,
    #[serde(with = "chrono::serde::ts_microseconds")]
    created_at: Timestamp,
    #[serde(with = "chrono::serde::ts_microseconds")]
    updated_at: Timestamp,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    acknowledged_at: Option<Timestamp>,
    acknowledged_by: Option<String>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    closed_at: Option<Timestamp>,
    escalation_level: u32,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    silenced_until: Option<Timestamp>,
}

impl StoredAlert {
    /// Reads a snapshot.
    pub(crate) fn parse(snapshot: &str) -> Result<Alert> {
        let stored: Self = serde_json::from_str(snapshot).map_err(|error| Error::Corrupt { what: "an alert", source: error.into() })?;
        Ok(stored.into())
    }
}

impl From<StoredAlert> for Alert {
    fn from(stored: StoredAlert) -> Self {
        Self {
            tenant_id: stored.tenant_id,
            alert_id: stored.alert_id,
            fingerprint: stored.fingerprint,
            device_id: stored.device_id,
            site_id: stored.site_id,
            alert_type: stored.alert_type,
            rule_id: stored.rule_id,
            severity: stored.severity,
            confidence: stored.confidence,
            summary: stored.summary,
            details: stored.details,
            status: stored.status,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            acknowledged_at: stored.acknowledged_at,
            acknowledged_by: stored.acknowledged_by,
            closed_at: stored.closed_at,
            escalation_level: stored.escalation_level,
            silenced_until: stored.silenced_until,
        }
    }
}
