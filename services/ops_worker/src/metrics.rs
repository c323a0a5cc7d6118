//! What the ops worker counts. `pulse_processing_*`, one operation a sub-worker, come with the kit.

use pulse_telemetry::{BoundCounter, Definition, Telemetry};

/// Whether a service answers.
pub const SERVICE_UP: Definition = Definition::gauge(
    "pulse_ops_service_up",
    "1",
    "Whether the last check of a service's /health succeeded: 1 or 0; 0 before the first check.",
    &["target"],
)
.shared();
/// Checks made.
pub const HEALTH_CHECKS: Definition = Definition::counter(
    "pulse_ops_health_checks_total",
    "{check}",
    "Checks of a service's /health by outcome: ok, or timeout, connect, status (an answer that is not 2xx), other.",
    &["target", "outcome"],
);
/// SYSTEM_HEALTH alerts.
pub const SYSTEM_ALERTS: Definition =
    Definition::counter("pulse_ops_system_alerts_total", "{alert}", "SYSTEM_HEALTH alerts by change: opened, closed.", &["change"]);
/// Escalations.
pub const ESCALATED: Definition = Definition::counter(
    "pulse_ops_alerts_escalated_total",
    "{alert}",
    "Alerts raised to the next level because nobody acknowledged them in time.",
    &[],
);
/// Jobs brought back.
pub const LEASES_EXPIRED: Definition = Definition::counter(
    "pulse_ops_job_leases_expired_total",
    "{job}",
    "Jobs whose worker did not finish them within its lease: pending again, or dead after their last attempt.",
    &[],
);
/// Rows removed.
pub const PURGED: Definition = Definition::counter(
    "pulse_ops_rows_purged_total",
    "{row}",
    "Rows removed because their retention time was over: finished (jobs, attempts, events, closed alerts), readings.",
    &["kind"],
);

/// Every metric that this service adds to the kit's own.
pub const DEFINITIONS: &[&Definition] = &[&SERVICE_UP, &HEALTH_CHECKS, &SYSTEM_ALERTS, &ESCALATED, &LEASES_EXPIRED, &PURGED];

/// The handles of the sub-workers that need only one or two.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) escalated: BoundCounter,
    pub(crate) leases_expired: BoundCounter,
    pub(crate) finished_purged: BoundCounter,
    pub(crate) readings_purged: BoundCounter,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let purged = telemetry.counter(&PURGED);
        Self {
            escalated: telemetry.counter(&ESCALATED).bind(&[]),
            leases_expired: telemetry.counter(&LEASES_EXPIRED).bind(&[]),
            finished_purged: purged.bind(&[("kind", "finished")]),
            readings_purged: purged.bind(&[("kind", "readings")]),
        }
    }
}
