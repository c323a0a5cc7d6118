//! What the evaluator counts. `pulse_queue_*` and `pulse_processing_*` come with the kit.

use std::collections::HashSet;

use pulse_domain::alert::AlertChange;
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::{AlertId, TenantId};
use pulse_store::CommitSummary;
use pulse_telemetry::{BoundCounter, Counter, Definition, Telemetry};

/// The label `queue_name` of the devices that wait for the evaluator.
pub const QUEUE_NAME: &str = "devices_to_evaluate";
/// The label `operation` of one claim, judgement and commit.
pub const OPERATION: &str = "evaluation_cycle";

/// Rules held against readings.
pub const RULES_EVALUATED: Definition = Definition::counter(
    "pulse_evaluator_rules_evaluated_total",
    "{evaluation}",
    "How many times a rule was checked against a reading.",
    &["tenant_id"],
);
/// Alerts opened.
pub const ALERTS_CREATED: Definition = Definition::counter(
    "pulse_evaluator_alerts_created_total",
    "{alert}",
    "Alerts opened by evaluation, rules' and NO_HEARTBEAT alike; a repeat of an open alert does not count.",
    &["tenant_id"],
);
/// Alerts closed.
pub const ALERTS_CLOSED: Definition = Definition::counter(
    "pulse_evaluator_alerts_closed_total",
    "{alert}",
    "Alerts closed by evaluation, rules' and NO_HEARTBEAT alike; those closed by hand or with their rule do not count.",
    &["tenant_id"],
);
/// What could not be judged.
pub const EVALUATION_ERRORS: Definition = Definition::counter(
    "pulse_evaluator_evaluation_errors_total",
    "{error}",
    "Failures that a tenant's own rules caused: each cycle counts the rules that it left out because they make no sense, and the devices that it did not evaluate because their tenant's rules could not be read.",
    &["tenant_id"],
);
/// Devices whose lease was lost.
pub const LEASES_LOST: Definition = Definition::counter(
    "pulse_evaluator_leases_lost_total",
    "{device}",
    "Devices whose lease had expired at the commit of their evaluation, so that another evaluator has them. More than a few mean that cycles take too long.",
    &[],
);

/// Every metric that this service adds to the kit's own.
pub const DEFINITIONS: &[&Definition] = &[&RULES_EVALUATED, &ALERTS_CREATED, &ALERTS_CLOSED, &EVALUATION_ERRORS, &LEASES_LOST];

/// The handles. None is kept for a single tenant, as there may be many: a batch counts once for each of its tenants.
#[derive(Debug)]
pub(crate) struct Metrics {
    rules_evaluated: Counter,
    alerts_created: Counter,
    alerts_closed: Counter,
    evaluation_errors: Counter,
    pub(crate) leases_lost: BoundCounter,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            rules_evaluated: telemetry.counter(&RULES_EVALUATED),
            alerts_created: telemetry.counter(&ALERTS_CREATED),
            alerts_closed: telemetry.counter(&ALERTS_CLOSED),
            evaluation_errors: telemetry.counter(&EVALUATION_ERRORS),
            leases_lost: telemetry.counter(&LEASES_LOST).bind(&[]),
        }
    }

    /// Makes a tenant's counters show 0 where nothing was counted yet.
    pub(crate) fn know_tenant(&self, tenant_id: &TenantId) {
        self.judged(tenant_id, 0, 0);
        for counter in [&self.alerts_created, &self.alerts_closed] {
            counter.add(0, &[("tenant_id", tenant_id.as_str())]);
        }
    }

    /// Counts what judging a tenant's devices came to.
    pub(crate) fn judged(&self, tenant_id: &TenantId, evaluated: u64, errors: u64) {
        self.rules_evaluated.add(evaluated, &[("tenant_id", tenant_id.as_str())]);
        self.evaluation_errors.add(errors, &[("tenant_id", tenant_id.as_str())]);
    }

    /// Counts what the store carried out of these judgements, each change for the tenant whose it is.
    pub(crate) fn committed(&self, outcomes: &[DeviceOutcome], done: &CommitSummary) {
        self.leases_lost.add(done.lost.len() as u64);
        let opened: HashSet<AlertId> = done.opened.iter().copied().collect();
        let closed: HashSet<AlertId> = done.closed.iter().copied().collect();
        for DeviceOutcome { key, changes, .. } in outcomes {
            let labels = [("tenant_id", key.tenant_id.as_str())];
            for change in changes {
                match change {
                    AlertChange::Open { alert, .. } if opened.contains(&alert.alert_id) => self.alerts_created.add(1, &labels),
                    AlertChange::Close { alert_id, .. } if closed.contains(alert_id) => self.alerts_closed.add(1, &labels),
                    AlertChange::Open { .. } | AlertChange::Close { .. } | AlertChange::Update { .. } => {}
                }
            }
        }
    }
}
