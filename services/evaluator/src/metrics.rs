//! What the evaluator counts. `pulse_queue_*` and `pulse_processing_*` come with the kit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pulse_domain::ids::TenantId;
use pulse_telemetry::{BoundCounter, Counter, Definition, Telemetry};

/// Work done.
pub const RULES_EVALUATED: Definition = Definition::counter(
    "pulse_evaluator_rules_evaluated_total",
    "{evaluation}",
    "How many times a rule was held against a reading.",
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
    "Failures that a tenant's own rules caused: each cycle counts the rules that it left out because they make no sense, and the devices that it left unjudged because their tenant's rules could not be read.",
    &["tenant_id"],
);
/// Claims that came to nothing.
pub const LEASES_LOST: Definition = Definition::counter(
    "pulse_evaluator_leases_lost_total",
    "{device}",
    "Devices whose lease had passed when their judgement was to be committed: another evaluator has them. More than a few mean that cycles take too long.",
    &[],
);

/// All of them.
pub const DEFINITIONS: &[&Definition] = &[&RULES_EVALUATED, &ALERTS_CREATED, &ALERTS_CLOSED, &EVALUATION_ERRORS, &LEASES_LOST];

/// Handles, bound once: those of a tenant when it is first seen, so that it shows 0 from then on. They are as many as there are tenants.
#[derive(Debug)]
pub(crate) struct Metrics {
    rules_evaluated: Counter,
    alerts_created: Counter,
    alerts_closed: Counter,
    evaluation_errors: Counter,
    pub(crate) leases_lost: BoundCounter,
    tenants: Mutex<HashMap<TenantId, TenantMetrics>>,
}

/// The handles of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct TenantMetrics {
    pub(crate) rules_evaluated: BoundCounter,
    pub(crate) alerts_created: BoundCounter,
    pub(crate) alerts_closed: BoundCounter,
    pub(crate) evaluation_errors: BoundCounter,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            rules_evaluated: telemetry.counter(&RULES_EVALUATED),
            alerts_created: telemetry.counter(&ALERTS_CREATED),
            alerts_closed: telemetry.counter(&ALERTS_CLOSED),
            evaluation_errors: telemetry.counter(&EVALUATION_ERRORS),
            leases_lost: telemetry.counter(&LEASES_LOST).bind(&[]),
            tenants: Mutex::default(),
        }
    }

    pub(crate) fn tenant(&self, tenant_id: &TenantId) -> TenantMetrics {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(tenant_id) {
            return known.clone();
        }
        let labels = &[("tenant_id", tenant_id.as_str())];
        let bound = TenantMetrics {
            rules_evaluated: self.rules_evaluated.bind(labels),
            alerts_created: self.alerts_created.bind(labels),
            alerts_closed: self.alerts_closed.bind(labels),
            evaluation_errors: self.evaluation_errors.bind(labels),
        };
        tenants.insert(tenant_id.clone(), bound.clone());
        bound
    }
}
