//! Messages by tenant and result. A tenant gets series of its own only once it is known to exist, so that strangers cannot make any.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moka::sync::Cache;
use pulse_domain::ids::TenantId;
use pulse_domain::reading::RejectReason;
use pulse_telemetry::{BoundCounter, Counter, Definition, Telemetry};

pub(super) const INGEST_MESSAGES: Definition = Definition::counter(
    "pulse_ingest_messages_total",
    "{message}",
    "Messages of devices by result: accepted, or why not. tenant_id is _unknown where the sender's tenant is not certain.",
    &["tenant_id", "result"],
);
pub(super) const INGEST_QUEUE_DEPTH: Definition =
    Definition::gauge("pulse_ingest_queue_depth", "{reading}", "Readings that wait to be durable, the ones being written included.", &[]);
pub(super) const INGEST_DROPPED: Definition = Definition::counter(
    "pulse_ingest_records_dropped_total",
    "{reading}",
    "Readings refused with 503 because the queue before the database was full. Nothing that was accepted is ever dropped.",
    &[],
);

/// The label of messages whose sender's tenant is not certain. No tenant can have it: names start with a letter or a digit.
const UNKNOWN_TENANT: &str = "_unknown";
/// Every [`RejectReason`], and accepted.
const RESULTS: usize = RejectReason::ALL.len() + 1;
const ACCEPTED: usize = RejectReason::ALL.len();
const ACCEPTED_LABEL: &str = "accepted";
/// Tenants whose handles are kept ready, and for how long without use. Others' are made anew when they are needed.
const METERS_MAX: u64 = 10_000;
const METER_IDLE: Duration = Duration::from_secs(3_600);

/// The counters of one tenant, bound when they are first needed.
pub(crate) struct TenantMeter {
    tenant_id: Box<str>,
    messages: Counter,
    bound: [OnceLock<BoundCounter>; RESULTS],
}

impl TenantMeter {
    fn new(tenant_id: &str, messages: Counter) -> Arc<Self> {
        Arc::new(Self { tenant_id: tenant_id.into(), messages, bound: [const { OnceLock::new() }; RESULTS] })
    }

    /// One message is durable.
    pub(crate) fn accepted(&self) {
        self.handle(ACCEPTED).add(1);
    }

    /// Some messages were refused.
    pub(crate) fn rejected(&self, reason: RejectReason, count: u64) {
        self.handle(reason as usize).add(count);
    }

    fn handle(&self, result: usize) -> &BoundCounter {
        self.bound[result].get_or_init(|| {
            let label =
                RejectReason::ALL.get(result).map_or_else(|| ACCEPTED_LABEL.to_owned(), |reason| reason.as_str().to_ascii_lowercase());
            self.messages.bind(&[("tenant_id", &self.tenant_id), ("result", &label)])
        })
    }
}

impl std::fmt::Debug for TenantMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantMeter({})", self.tenant_id)
    }
}

/// The handles of the ingest doors.
#[derive(Debug)]
pub(crate) struct IngestMetrics {
    messages: Counter,
    unknown: Arc<TenantMeter>,
    tenants: Cache<TenantId, Arc<TenantMeter>>,
    dropped: BoundCounter,
    telemetry: Telemetry,
}

impl IngestMetrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let messages = telemetry.counter(&INGEST_MESSAGES);
        let unknown = TenantMeter::new(UNKNOWN_TENANT, messages.clone());
        for reason in RejectReason::ALL {
            unknown.rejected(reason, 0);
        }
        let dropped = telemetry.counter(&INGEST_DROPPED).bind(&[]);
        let tenants = Cache::builder().max_capacity(METERS_MAX).time_to_idle(METER_IDLE).build();
        Self { messages, unknown, tenants, dropped, telemetry: telemetry.clone() }
    }

    /// The meter of a tenant that is known to exist; its `accepted` shows from now on.
    pub(crate) fn tenant(&self, tenant_id: &TenantId) -> Arc<TenantMeter> {
        let meter = || TenantMeter::new(tenant_id.as_str(), self.messages.clone());
        let meter = self.tenants.get_with_by_ref(tenant_id, meter);
        meter.handle(ACCEPTED);
        meter
    }

    /// Makes `accepted` of a tenant that exists show 0 where nothing was counted yet.
    pub(crate) fn know_tenant(&self, tenant_id: &TenantId) {
        self.messages.add(0, &[("tenant_id", tenant_id.as_str()), ("result", ACCEPTED_LABEL)]);
    }

    /// The meter of senders whose tenant is not certain.
    pub(crate) fn unknown(&self) -> &Arc<TenantMeter> {
        &self.unknown
    }

    /// Readings refused because the queue was full.
    pub(crate) fn dropped(&self, readings: u64) {
        self.dropped.add(readings);
    }

    /// Shows the queue's depth, read at each collection.
    pub(crate) fn observe_depth(&self, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.telemetry.observe(&INGEST_QUEUE_DEPTH, &[], read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place() {
        for (place, reason) in RejectReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
        assert!(TenantId::parse(UNKNOWN_TENANT).is_err(), "no tenant can have this label");
    }
}
