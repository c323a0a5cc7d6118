//! What the reporters of one run share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_domain::Timestamp;
use pulse_runtime::Shutdown;
use tokio::sync::Semaphore;

use super::door::Door;
use super::tally::DriveTally;
use crate::sent_readings::SentReadings;
use crate::wire::FleetAccess;

/// One run of the fleet, from its start to its end.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) door: Door,
    pub(super) in_flight: Semaphore,
    pub(super) start: Instant,
    pub(super) start_wall: Timestamp,
    pub(super) end: Option<Duration>,
    pub(super) access: Arc<FleetAccess>,
    pub(super) sent_readings: Arc<SentReadings>,
    pub(super) tally: Arc<DriveTally>,
    pub(super) stop: Shutdown,
}
