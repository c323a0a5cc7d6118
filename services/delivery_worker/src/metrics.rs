//! The metrics of delivery; their handles are bound once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pulse_domain::ids::TenantId;
use pulse_domain::integration::Queue;
use pulse_domain::job::ErrorKind;
use pulse_telemetry::{BoundCounter, BoundHistogram, Counter, Definition, Operation, Telemetry};

use crate::channel::Channel;

/// The label `operation` of one delivery.
const DELIVERY_ATTEMPT: &str = "delivery_attempt";
/// The label `operation` of a claim, and the name of the store's call in spans.
pub(crate) const CLAIM_JOBS: &str = "claim_jobs";
/// The label `operation` of recording a batch, and the name of its span and of the store's call in it.
pub(crate) const RECORD_ATTEMPTS: &str = "record_attempts";

const JOBS_FAILED: Definition =
    Definition::counter("pulse_delivery_jobs_failed_total", "{job}", "Jobs given up: dead until somebody replays them.", &["tenant_id"]);

const ATTEMPTS: Definition = Definition::counter(
    "pulse_delivery_attempts_total",
    "{attempt}",
    "Attempts to deliver by channel and outcome: success, or the kind of the failure.",
    &["channel", "outcome"],
);

const ALERT_LATENCY: Definition = Definition::histogram(
    "pulse_alert_latency_seconds",
    "s",
    "Time from the receipt of the reading to the receiver's acknowledgement of the message about it.",
    &["channel"],
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0],
);

const IN_FLIGHT: Definition =
    Definition::gauge("pulse_delivery_in_flight", "{attempt}", "Deliveries under way, read at collection.", &["queue_name"]);

const CONCURRENCY: Definition =
    Definition::gauge("pulse_delivery_concurrency", "{attempt}", "The most deliveries that may be under way.", &["queue_name"]);

const LEASES_LOST: Definition = Definition::counter(
    "pulse_delivery_leases_lost_total",
    "{attempt}",
    "Attempts that ended after their job's lease had expired: another worker may make the same delivery again.",
    &[],
);

/// Every metric that this service adds to the kit's own.
pub const DEFINITIONS: &[&Definition] = &[&JOBS_FAILED, &ATTEMPTS, &ALERT_LATENCY, &IN_FLIGHT, &CONCURRENCY, &LEASES_LOST];

/// The label of a job whose integration is gone, so that nobody knows what channel it was.
pub(crate) const NO_CHANNEL: &str = "none";
const SUCCESS: &str = "success";

/// The handles of one worker, shared by its queues.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) delivery_attempt: Operation,
    pub(crate) claim_jobs: Operation,
    pub(crate) record_attempts: Operation,
    pub(crate) leases_lost: BoundCounter,
    /// Attempts that could only fail: they have no integration.
    pub(crate) no_channel: BoundCounter,
    channels: [ChannelMetrics; Channel::ALL.len()],
    jobs_failed: Counter,
    in_flight: [Arc<AtomicU32>; Queue::ALL.len()],
}

impl Metrics {
    /// Binds every label set that is known beforehand, so that each shows 0 from the first scrape on.
    pub(crate) fn new(telemetry: &Telemetry, places: impl Fn(Queue) -> u32) -> Self {
        let concurrency = telemetry.gauge(&CONCURRENCY);
        let in_flight: [Arc<AtomicU32>; Queue::ALL.len()] = Default::default();
        for (queue, count) in Queue::ALL.into_iter().zip(&in_flight) {
            let (labels, count) = ([("queue_name", queue.gauge_name())], Arc::clone(count));
            concurrency.set(f64::from(places(queue)), &labels);
            telemetry.observe(&IN_FLIGHT, &labels, move || f64::from(count.load(Ordering::Relaxed)));
        }
        Self {
            delivery_attempt: telemetry.operation(DELIVERY_ATTEMPT),
            claim_jobs: telemetry.operation(CLAIM_JOBS),
            record_attempts: telemetry.operation(RECORD_ATTEMPTS),
            leases_lost: telemetry.counter(&LEASES_LOST).bind(&[]),
            no_channel: attempts(telemetry, NO_CHANNEL, ErrorKind::Config.as_str()),
            channels: Channel::ALL.map(|channel| ChannelMetrics::new(telemetry, channel)),
            jobs_failed: telemetry.counter(&JOBS_FAILED),
            in_flight,
        }
    }

    /// The handles of one channel.
    pub(crate) fn channel(&self, channel: Channel) -> &ChannelMetrics {
        &self.channels[channel as usize]
    }

    /// Makes sure that the tenant's count of dead jobs is there, with 0 if none has died, so that the first death is seen as an increase.
    pub(crate) fn know_tenant(&self, tenant_id: &TenantId) {
        self.jobs_failed(tenant_id, 0);
    }

    /// Counts jobs that are dead now.
    pub(crate) fn jobs_failed(&self, tenant_id: &TenantId, jobs: u64) {
        self.jobs_failed.add(jobs, &[("tenant_id", tenant_id.as_str())]);
    }

    /// One more delivery under way until the guard is dropped.
    pub(crate) fn under_way(&self, queue: Queue) -> UnderWay {
        let [integration, notification] = &self.in_flight;
        let count = match queue {
            Queue::Integration => integration,
            Queue::Notification => notification,
        };
        count.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(count))
    }
}

fn attempts(telemetry: &Telemetry, channel: &str, outcome: &str) -> BoundCounter {
    telemetry.counter(&ATTEMPTS).bind(&[("channel", channel), ("outcome", outcome)])
}

/// The handles of one channel, every outcome's among them.
#[derive(Debug)]
pub(crate) struct ChannelMetrics {
    delivered: BoundCounter,
    failed: [BoundCounter; ErrorKind::ALL.len()],
    /// From the receipt of the reading to the receiver's acknowledgement, in seconds.
    pub(crate) latency: BoundHistogram,
}

impl ChannelMetrics {
    fn new(telemetry: &Telemetry, channel: Channel) -> Self {
        let channel = channel.as_str();
        Self {
            delivered: attempts(telemetry, channel, SUCCESS),
            failed: ErrorKind::ALL.map(|kind| attempts(telemetry, channel, kind.as_str())),
            latency: telemetry.histogram(&ALERT_LATENCY).bind(&[("channel", channel)]),
        }
    }

    /// Counts an attempt; `error` none: delivered.
    pub(crate) fn attempted(&self, error: Option<ErrorKind>) {
        error.map_or(&self.delivered, |kind| &self.failed[kind as usize]).add(1);
    }
}

/// Counts down when dropped, however the delivery ends.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_own_place() {
        for (place, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
