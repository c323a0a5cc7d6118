//! Holds back what one place in the code logs again and again: a few records in a while are shown, the rest are counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::record::{ServiceLog, is_about_pushing};

/// So many records of one place and service pass in a window.
const PASS_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// Of what is said about pushing, one record of a process passes in a window: a collector that is away is no news after the first time.
const PIPELINE_PASS_MAX: u32 = 1;
const PIPELINE_WINDOW: Duration = Duration::from_mins(1);
/// The target of the line that says that records are held back.
const NOTICE_TARGET: &str = "pulse_telemetry::burst";

/// Lets the first records of a burst pass and holds the rest back, on standard error and over OTLP alike;
/// `pulse_telemetry_logs_suppressed_total` counts them. Debug and trace records always pass: whoever asks for them wants them all.
///
/// It goes into the process's one subscriber beside the layers that show records.
#[derive(Debug, Clone, Default)]
pub struct BurstLayer(Arc<Mutex<HashMap<Place, Window>>>);

/// Where a record comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    /// A line of code, run for this service.
    Line(Identifier, Option<&'static str>),
    Pushing,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    passed: u32,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    /// Passes as the last one of its window.
    Last,
    HeldBack,
}

impl BurstLayer {
    /// Nothing held back yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn judge(&self, place: Place, now: Instant) -> Verdict {
        let (max, length) = if place == Place::Pushing { (PIPELINE_PASS_MAX, PIPELINE_WINDOW) } else { (PASS_MAX, WINDOW) };
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(place).or_insert(Window { began: now, passed: 0 });
        if now.duration_since(window.began) >= length {
            *window = Window { began: now, passed: 0 };
        }
        window.passed = window.passed.saturating_add(1);
        match window.passed.cmp(&max) {
            std::cmp::Ordering::Less => Verdict::Pass,
            std::cmp::Ordering::Equal => Verdict::Last,
            std::cmp::Ordering::Greater => Verdict::HeldBack,
        }
    }
}

impl<S: Subscriber> Layer<S> for BurstLayer {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == NOTICE_TARGET {
            return true;
        }
        let pushing = is_about_pushing(metadata.target());
        if pushing && is_a_failed_push(metadata.name()) {
            return false;
        }
        let service = ServiceLog::current();
        let place =
            if pushing { Place::Pushing } else { Place::Line(metadata.callsite(), service.as_ref().map(|service| service.0.service)) };
        match self.judge(place, Instant::now()) {
            Verdict::Pass => true,
            Verdict::Last => {
                if !pushing {
                    notice(metadata);
                }
                true
            }
            Verdict::HeldBack => {
                if let Some(service) = service {
                    service.0.suppressed.add(1);
                }
                false
            }
        }
    }
}

/// The SDK's own word on a push that failed. The kit says it better: of which service, and what counts it.
fn is_a_failed_push(event: &str) -> bool {
    event.starts_with("Export.Failed.") || event.ends_with(".ExportError")
}

/// So that whoever reads the log knows that there is more of it.
fn notice(metadata: &Metadata<'_>) {
    tracing::warn!(
        target: NOTICE_TARGET,
        place = metadata.target(),
        line = metadata.line(),
        "one place logs too much: its further records are held back for up to {WINDOW:?}, pulse_telemetry_logs_suppressed_total counts them"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_up_to_its_bound_in_each_window() {
        let layer = BurstLayer::new();
        let now = Instant::now();
        let judged = |at| layer.judge(Place::Pushing, at);
        assert_eq!(judged(now), Verdict::Last, "one a window");
        assert_eq!(judged(now + PIPELINE_WINDOW - Duration::from_millis(1)), Verdict::HeldBack);
        assert_eq!(judged(now + PIPELINE_WINDOW), Verdict::Last, "the next window");
    }
}
