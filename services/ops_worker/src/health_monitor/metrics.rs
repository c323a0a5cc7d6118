//! The handles of the health monitor: one set for each watched service, and its alerts.

use pulse_telemetry::{BoundCounter, BoundGauge, Telemetry};

use super::check::CheckError;
use crate::metrics::{HEALTH_CHECKS, SERVICE_UP, SYSTEM_ALERTS};

/// SYSTEM_HEALTH alerts, counted.
#[derive(Debug)]
pub(crate) struct SystemAlertMetrics {
    pub(crate) opened: BoundCounter,
    pub(crate) closed: BoundCounter,
}

impl SystemAlertMetrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let alerts = telemetry.counter(&SYSTEM_ALERTS);
        Self { opened: alerts.bind(&[("change", "opened")]), closed: alerts.bind(&[("change", "closed")]) }
    }
}

/// Handles for one watched service.
#[derive(Debug)]
pub(crate) struct TargetMetrics {
    up: BoundGauge,
    ok: BoundCounter,
    failed: [BoundCounter; CheckError::LABELS.len()],
}

impl TargetMetrics {
    pub(crate) fn new(telemetry: &Telemetry, target: &str) -> Self {
        let checks = telemetry.counter(&HEALTH_CHECKS);
        Self {
            up: telemetry.gauge(&SERVICE_UP).bind(&[("target", target)]),
            ok: checks.bind(&[("target", target), ("outcome", "ok")]),
            failed: CheckError::LABELS.map(|outcome| checks.bind(&[("target", target), ("outcome", outcome)])),
        }
    }

    pub(crate) fn checked(&self, result: &Result<(), CheckError>) {
        self.up.set(if result.is_ok() { 1.0 } else { 0.0 });
        match result {
            Ok(()) => self.ok.add(1),
            Err(error) => self.failed[error.label_index()].add(1),
        }
    }
}
