//! Alerts as people and health checks handle them.
//!
//! Triggers on the alert's row append the events, so that no statement can change an alert without its event.

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertEvent, AlertStatus, AlertType, Cause, Fingerprint};
use pulse_domain::device::DeviceStatus;
use pulse_domain::ids::{AlertId, DeviceId, TenantId};
use pulse_domain::rule::Severity;

use crate::{CommitSummary, Page, PageRequest, Result};

/// Which alerts to list; none means any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlertFilter {
    pub status: Option<AlertStatus>,
    pub alert_type: Option<AlertType>,
    pub min_severity: Option<Severity>,
    pub device_id: Option<DeviceId>,
}

/// A tenant's fleet in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantFleet {
    pub tenant_id: TenantId,
    /// Open and acknowledged.
    pub active_alerts: u64,
    /// Every status, also with 0. Only devices that are active in their life cycle.
    pub devices_by_status: Vec<(DeviceStatus, u64)>,
}

/// Alerts by hand. Changes that do not apply (an alert that is closed cannot be acknowledged) leave it as it is and append no event; the
/// alert comes back as it then stands, or none when the tenant has no such alert.
#[async_trait]
pub trait AlertStore {
    async fn alert(&self, tenant_id: &TenantId, alert_id: AlertId) -> Result<Option<Alert>>;
    /// Newest first.
    async fn alerts(&self, tenant_id: &TenantId, filter: &AlertFilter, page: &PageRequest) -> Result<Page<Alert>>;
    /// What happened to an alert, oldest first.
    async fn alert_events(&self, tenant_id: &TenantId, alert_id: AlertId) -> Result<Vec<AlertEvent>>;
    /// OPEN to ACKNOWLEDGED, with its event.
    async fn acknowledge_alert(
        &self,
        tenant_id: &TenantId,
        alert_id: AlertId,
        by: &str,
        now: Timestamp,
        cause: &Cause,
    ) -> Result<Option<Alert>>;
    /// To CLOSED, with its event.
    async fn close_alert(&self, tenant_id: &TenantId, alert_id: AlertId, now: Timestamp, cause: &Cause) -> Result<Option<Alert>>;
    /// Silences the alert's fingerprint: until then it is not escalated, and once closed it does not open again.
    async fn silence_alert(&self, tenant_id: &TenantId, alert_id: AlertId, until: Timestamp) -> Result<Option<Alert>>;

    /// Carries out changes that no device's evaluation made (SYSTEM_HEALTH), with their events.
    async fn apply_alert_changes(&self, tenant_id: &TenantId, changes: &[AlertChange], now: Timestamp) -> Result<CommitSummary>;
    /// The alert with this fingerprint that is not closed.
    async fn open_alert(&self, tenant_id: &TenantId, fingerprint: &Fingerprint) -> Result<Option<Alert>>;

    /// Every tenant's fleet in numbers.
    async fn fleet(&self) -> Result<Vec<TenantFleet>>;
}
