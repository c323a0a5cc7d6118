//! Says how far ingest has come, once a second: silence is a device's fault only while Pulse was listening and wrote what it heard.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use pulse_domain::Timestamp;
use pulse_domain::evaluation::IngestProgress;
use pulse_runtime::{Chain, Clock, Shutdown};
use pulse_store::SharedStore;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::gap::Gap;
use super::queue::Queue;

/// How often.
const EVERY: Duration = Duration::from_secs(1);
/// A tick that comes later than this means that the process stood still, and heard nothing meanwhile.
const STANDSTILL: TimeDelta = TimeDelta::seconds(5);
/// The longest one report may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Since when ingest has been listening without a break.
#[derive(Debug)]
struct Listening {
    up_since: Timestamp,
    last_tick: Timestamp,
}

impl Listening {
    fn since(now: Timestamp) -> Self {
        Self { up_since: now, last_tick: now }
    }

    /// Begins anew when the tick is late or something broke since the last.
    fn tick(&mut self, now: Timestamp, broken: bool) -> Timestamp {
        if broken || now - self.last_tick > STANDSTILL {
            self.up_since = now;
        }
        self.last_tick = now;
        self.up_since
    }
}

/// Reports until shutdown.
pub(crate) async fn report(store: SharedStore, clock: Clock, queue: Arc<Queue>, gap: Arc<Gap>, shutdown: Shutdown) {
    let instance = format!("ui_api-{}", Uuid::now_v7());
    let mut listening = Listening::since(clock.now());
    let mut failing = false;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.triggered() => return,
        }
        let broken = gap.take() || failing;
        let now = clock.now();
        let progress = IngestProgress { up_since: listening.tick(now, broken), durable_through: queue.oldest(|| clock.now()) };
        let reporting = tokio::time::timeout(REPORT_TIMEOUT, store.report_ingest_progress(&instance, progress, now));
        let reported = tokio::select! {
            reported = reporting => reported,
            () = shutdown.triggered() => return,
        };
        let failure = match reported {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Chain(&error).to_string()),
            Err(elapsed) => Some(elapsed.to_string()),
        };
        if let Some(error) = &failure
            && !failing
        {
            tracing::warn!(error, "the progress of ingest cannot be reported: silent devices are not judged until it can");
        }
        failing = failure.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_begins_anew_after_a_break() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let mut listening = Listening::since(start);
        assert_eq!(listening.tick(at(1), false), start);
        assert_eq!(listening.tick(at(6), false), start, "5 s are within bounds");
        assert_eq!(listening.tick(at(12), false), at(12), "6 s are a standstill");
        assert_eq!(listening.tick(at(13), true), at(13), "refused readings are a break");
        assert_eq!(listening.tick(at(14), false), at(13));
    }
}
