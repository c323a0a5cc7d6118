//! What a service that is down looks like as an alert. Pure.

use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertStatus, AlertType, Fingerprint};
use pulse_domain::ids::{AlertId, SiteId, TenantId};
use pulse_domain::rule::Severity;
use serde_json::{Value, json};

use super::check::CheckError;
use crate::target::WatchTarget;

/// A service that does not answer.
#[derive(Debug)]
pub(crate) struct Finding<'a> {
    pub(crate) watch: &'a WatchTarget,
    pub(crate) error: CheckError,
    pub(crate) since: Timestamp,
}

impl Finding<'_> {
    fn summary(&self) -> String {
        format!("{} fails its health check: {}", self.watch.name(), self.error)
    }

    fn details(&self, since: &Value) -> Value {
        json!({ "service": self.watch.name(), "url": self.watch.url().as_str(), "error": self.error.to_string(), "since": since })
    }

    /// The alert to open.
    pub(crate) fn alert(&self, tenant_id: TenantId, site_id: SiteId, fingerprint: Fingerprint, now: Timestamp) -> Alert {
        Alert {
            tenant_id,
            alert_id: AlertId::generate(),
            fingerprint,
            device_id: self.watch.name().clone(),
            site_id,
            alert_type: AlertType::SystemHealth,
            rule_id: None,
            severity: Severity::MAX,
            confidence: 1.0,
            summary: self.summary(),
            details: self.details(&json!(self.since)),
            status: AlertStatus::Open,
            created_at: now,
            updated_at: now,
            acknowledged_at: None,
            acknowledged_by: None,
            closed_at: None,
            escalation_level: 0,
            silenced_until: None,
        }
    }

    /// How to bring an open alert up to date; none when it says all this already. It keeps its own `since`: a monitor that was restarted
    /// has only seen the later part.
    pub(crate) fn update(&self, alert: &Alert, now: Timestamp) -> Option<AlertChange> {
        let since = alert.details.get("since").cloned().unwrap_or_else(|| json!(self.since));
        let details = self.details(&since);
        (details != alert.details).then(|| AlertChange::Update {
            alert_id: alert.alert_id,
            severity: Severity::MAX,
            summary: self.summary(),
            details,
            at: now,
        })
    }
}
