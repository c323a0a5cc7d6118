//! Reports how far ingest has come, once a second: a device counts as silent only while Pulse listened and wrote what it heard.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use pulse_domain::Timestamp;
use pulse_domain::evaluation::IngestProgress;
use pulse_runtime::{Chain, Clock, Outage, Shutdown, Ticker};
use pulse_store::{SharedStore, within};
use uuid::Uuid;

use super::gap::Gap;
use super::queue::Queue;

/// How often progress is reported.
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
    let (mut ticker, mut outage) = (Ticker::every(EVERY), Outage::default());
    while shutdown.unless_triggered(ticker.tick()).await.is_some() {
        let broken = gap.take() || outage.is_on();
        let now = clock.now();
        let progress = IngestProgress { up_since: listening.tick(now, broken), durable_through: queue.oldest(|| clock.now()) };
        let reporting = within(REPORT_TIMEOUT, store.report_ingest_progress(&instance, progress, now));
        match shutdown.unless_triggered(reporting).await {
            None => return,
            Some(Ok(())) => drop(outage.ended()),
            Some(Err(error)) => {
                if let Some(failures) = outage.failed() {
                    tracing::warn!(error = %Chain(&error), failures, "the progress of ingest cannot be reported: silent devices are not judged until it can");
                }
            }
        }
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
