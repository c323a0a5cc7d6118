//! Silence: ONLINE or STALE, and when to look again if nothing arrives.

use std::time::Duration;

use chrono::TimeDelta;

use super::{DueDevice, JudgeClock};
use crate::Timestamp;
use crate::device::DeviceStatus;

/// A timer rings this much after the last instant at which a device still counts as ONLINE.
const TIMER_MARGIN: TimeDelta = TimeDelta::milliseconds(1);
/// The shortest and the longest wait before a judgement that was held, because ingest is late, is tried again.
const HOLD_MIN: TimeDelta = TimeDelta::seconds(1);
const HOLD_MAX: TimeDelta = TimeDelta::seconds(5);

/// What a device's silence comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Presence {
    pub(super) status: DeviceStatus,
    pub(super) next_check_at: Option<Timestamp>,
    /// Silent, and it is known that nothing of it is on its way in.
    pub(super) is_silent: bool,
}

/// Judges a device's silence once its readings have been judged.
///
/// STALE takes proof: every message received up to the end of the wait is in the store, and ingest was listening throughout. Without it
/// the status is kept and looked at again soon.
pub(super) fn presence(device: &DueDevice, clock: &JudgeClock) -> Presence {
    let last_seen = device.last_seen.max(device.readings.last().map(|reading| reading.received_at));
    let Some(last_seen) = last_seen else {
        return Presence { status: DeviceStatus::Unknown, next_check_at: None, is_silent: false };
    };
    let online_until = later(last_seen, clock.stale_after);
    if clock.now <= online_until {
        return online(online_until);
    }
    if device.has_more {
        return online(clock.now);
    }
    let Some(ingest) = clock.ingest else { return held(device, add(clock.now, HOLD_MAX)) };
    let proven_at = online_until.max(later(ingest.up_since, clock.stale_after));
    if ingest.durable_through >= proven_at {
        return Presence { status: DeviceStatus::Stale, next_check_at: None, is_silent: true };
    }
    let lag = (proven_at - ingest.durable_through).clamp(HOLD_MIN, HOLD_MAX);
    // Before `proven_at` there is nothing to find out, however often one looks.
    held(device, if proven_at > clock.now { add(proven_at, TIMER_MARGIN) } else { add(clock.now, lag) })
}

fn online(until: Timestamp) -> Presence {
    Presence { status: DeviceStatus::Online, next_check_at: Some(add(until, TIMER_MARGIN)), is_silent: false }
}

/// The status stays as it was, but for a device that was just heard from.
fn held(device: &DueDevice, next_check_at: Timestamp) -> Presence {
    let silent_before = device.status == DeviceStatus::Stale && device.readings.is_empty();
    let status = if silent_before { DeviceStatus::Stale } else { DeviceStatus::Online };
    Presence { status, next_check_at: Some(next_check_at), is_silent: false }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    add(at, TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX))
}

/// Saturates at the end of time.
fn add(at: Timestamp, by: TimeDelta) -> Timestamp {
    at.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC)
}

/// When to look again at a silent device whose alert is silenced: when the silence is over.
pub(super) fn after_silence(until: Timestamp) -> Timestamp {
    add(until, TIMER_MARGIN)
}
