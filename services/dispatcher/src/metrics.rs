//! What the dispatcher counts. `pulse_queue_*` and `pulse_processing_*` come with the kit.

use pulse_store::DispatchSummary;
use pulse_telemetry::{BoundCounter, Definition, Telemetry};

use crate::commit::Commit;

/// The label `queue_name` of the events that wait for the dispatcher.
pub const QUEUE_NAME: &str = "pending_alerts";
/// The label `operation` of one claim, decision and commit.
pub const OPERATION: &str = "dispatch_cycle";

/// Events taken off the queue.
pub const EVENTS: Definition = Definition::counter(
    "pulse_dispatcher_events_total",
    "{event}",
    "Alert events taken off the queue by result: routed (at least one job) or unrouted (no route matches).",
    &["result"],
);
/// Jobs that were made.
pub const JOBS: Definition = Definition::counter(
    "pulse_dispatcher_jobs_created_total",
    "{job}",
    "Delivery jobs made from alert events; a job that was there already does not count.",
    &[],
);
/// Events whose lease was lost.
pub const LEASES_LOST: Definition = Definition::counter(
    "pulse_dispatcher_leases_lost_total",
    "{event}",
    "Alert events whose lease had expired at their commit, so that another dispatcher has them. More than a few mean that steps take too long.",
    &[],
);

/// Every metric that this service adds to the kit's own.
pub const DEFINITIONS: &[&Definition] = &[&EVENTS, &JOBS, &LEASES_LOST];

/// Handles, bound once.
#[derive(Debug)]
pub(crate) struct Metrics {
    routed: BoundCounter,
    unrouted: BoundCounter,
    jobs: BoundCounter,
    leases_lost: BoundCounter,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let events = telemetry.counter(&EVENTS);
        Self {
            routed: events.bind(&[("result", "routed")]),
            unrouted: events.bind(&[("result", "unrouted")]),
            jobs: telemetry.counter(&JOBS).bind(&[]),
            leases_lost: telemetry.counter(&LEASES_LOST).bind(&[]),
        }
    }

    /// Counts what the store did of a commit.
    pub(crate) fn committed(&self, commit: &Commit, done: &DispatchSummary) {
        let unrouted = commit.unrouted.intersection(&done.dispatched).count();
        self.unrouted.add(unrouted as u64);
        self.routed.add((done.dispatched.len() - unrouted) as u64);
        self.jobs.add(done.jobs);
        self.leases_lost.add((commit.events.len() - done.dispatched.len()) as u64);
    }
}
