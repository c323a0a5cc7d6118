//! The metrics of this service. Handles are bound once; the hot path only adds.

mod http;
mod ingest;

use pulse_telemetry::{BoundCounter, Definition, Operation, Snapshot, Telemetry};

pub(crate) use http::{HttpMetrics, OTHER_METHOD, UnderWay, method_label};
pub(crate) use ingest::{IngestMetrics, TenantMeter};

use http::{HTTP_DURATION, HTTP_REQUESTS};
use ingest::{INGEST_DROPPED, INGEST_MESSAGES, INGEST_QUEUE_DEPTH};

/// The label `operation` of one group's commit, and the name of the group's span.
pub(crate) const INGEST_WRITE: &str = "ingest_write";

const AUTH_FAILURES: Definition =
    Definition::counter("pulse_auth_failures_total", "{failure}", "Requests and messages refused because of their token.", &["reason"]);
const FLEET_ACTIVE_ALERTS: Definition =
    Definition::gauge("pulse_fleet_active_alerts", "{alert}", "Open and acknowledged alerts.", &["tenant_id"]).shared();
const FLEET_DEVICES: Definition =
    Definition::gauge("pulse_fleet_devices_by_status", "{device}", "Devices in service by their status.", &["tenant_id", "status"])
        .shared();

/// Every metric that this service adds to the kit's own.
pub const DEFINITIONS: &[&Definition] = &[
    &INGEST_MESSAGES,
    &INGEST_QUEUE_DEPTH,
    &INGEST_DROPPED,
    &HTTP_REQUESTS,
    &HTTP_DURATION,
    &AUTH_FAILURES,
    &FLEET_ACTIVE_ALERTS,
    &FLEET_DEVICES,
];

/// Why a sender was refused: the closed set of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthFailure {
    /// A device without a token.
    TokenMissing,
    /// A device with a wrong token.
    TokenInvalid,
    DeviceRevoked,
    UnregisteredDevice,
    /// An API request without a token.
    BearerMissing,
    /// An API request with a token that is not, or no longer, known.
    BearerInvalid,
    /// A role that may not do this.
    Forbidden,
    /// A token of another tenant.
    OtherTenant,
}

impl AuthFailure {
    const ALL: [Self; 8] = [
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::DeviceRevoked,
        Self::UnregisteredDevice,
        Self::BearerMissing,
        Self::BearerInvalid,
        Self::Forbidden,
        Self::OtherTenant,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid => "token_invalid",
            Self::DeviceRevoked => "device_revoked",
            Self::UnregisteredDevice => "unregistered_device",
            Self::BearerMissing => "bearer_missing",
            Self::BearerInvalid => "bearer_invalid",
            Self::Forbidden => "forbidden",
            Self::OtherTenant => "other_tenant",
        }
    }
}

/// All handles of this service.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) ingest: IngestMetrics,
    pub(crate) ingest_write: Operation,
    pub(crate) active_alerts: Snapshot,
    pub(crate) devices_by_status: Snapshot,
    auth_failures: [BoundCounter; AuthFailure::ALL.len()],
}

impl Metrics {
    /// Binds what is known beforehand, so that it shows 0 from the first scrape on.
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let auth_failures = telemetry.counter(&AUTH_FAILURES);
        Self {
            ingest: IngestMetrics::new(telemetry),
            ingest_write: telemetry.operation(INGEST_WRITE),
            active_alerts: telemetry.snapshot(&FLEET_ACTIVE_ALERTS),
            devices_by_status: telemetry.snapshot(&FLEET_DEVICES),
            auth_failures: AuthFailure::ALL.map(|reason| auth_failures.bind(&[("reason", reason.as_str())])),
        }
    }

    /// Counts a refusal for who sent it.
    pub(crate) fn auth_failed(&self, reason: AuthFailure) {
        self.auth_failures[reason as usize].add(1);
    }
}
