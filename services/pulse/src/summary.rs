//! What the demo shows of itself: read off the services' own /metrics and the simulator's two ends.

use std::collections::HashMap;

use pulse_runtime::Deps;
use pulse_simulator::Report;
use serde::Serialize;

use crate::scrape::Scrape;

/// The totals of a run. Counts start with the process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Totals {
    /// Since the fleet began to report, in seconds.
    pub(crate) elapsed_s: f64,
    pub(crate) devices: u32,
    /// Readings that ui_api answered with a 202.
    pub(crate) readings_accepted: u64,
    /// Readings that it refused, for whatever reason.
    pub(crate) readings_rejected: u64,
    pub(crate) alerts_opened: u64,
    pub(crate) alerts_closed: u64,
    /// How many of the alerts that this run opened are still open.
    pub(crate) alerts_open: u64,
    /// Messages that a receiver took: webhooks and chat.
    pub(crate) delivered: u64,
    /// Messages that took more than one attempt count each attempt that failed.
    pub(crate) failed_attempts: u64,
    /// Jobs given up.
    pub(crate) dead: u64,
    /// Webhooks that the receiver saw again.
    pub(crate) duplicates: u64,
    /// Webhooks whose signature the receiver did not accept.
    pub(crate) bad_signatures: u64,
    /// From a reading's receipt to the receiver's acknowledgement, in milliseconds; none before the first.
    pub p95_device_to_delivery_ms: Option<f64>,
}

impl Totals {
    /// The numbers now.
    pub(crate) fn read(devices: u32, deps: &[Deps], report: &Report) -> Self {
        let scrapes: HashMap<&str, Scrape> =
            deps.iter().map(|deps| (deps.telemetry.service(), Scrape::new(deps.telemetry.render().unwrap_or_default()))).collect();
        let sum = |service: &str, name: &str, labels: &[&str]| scrapes.get(service).map_or(0, |scrape| whole(scrape.sum(name, labels)));
        let messages = sum("ui_api", "pulse_ingest_messages_total", &[]);
        let accepted = sum("ui_api", "pulse_ingest_messages_total", &["result=\"accepted\""]);
        let attempts = sum("delivery_worker", "pulse_delivery_attempts_total", &[]);
        let delivered = sum("delivery_worker", "pulse_delivery_attempts_total", &["outcome=\"success\""]);
        let opened = sum("evaluator", "pulse_evaluator_alerts_created_total", &[]);
        let closed = sum("evaluator", "pulse_evaluator_alerts_closed_total", &[]);
        let latency = scrapes.get("delivery_worker").and_then(|scrape| scrape.quantile("pulse_alert_latency_seconds", 0.95));
        Self {
            elapsed_s: report.fleet.elapsed_s,
            devices,
            readings_accepted: accepted,
            readings_rejected: messages.saturating_sub(accepted),
            alerts_opened: opened,
            alerts_closed: closed,
            alerts_open: opened.saturating_sub(closed),
            delivered,
            failed_attempts: attempts.saturating_sub(delivered),
            dead: sum("delivery_worker", "pulse_delivery_jobs_failed_total", &[]),
            duplicates: report.sink.duplicates,
            bad_signatures: report.sink.bad_signatures,
            p95_device_to_delivery_ms: latency.map(|seconds| (seconds * 1_000.0).round()),
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let p95 = self.p95_device_to_delivery_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        format!(
            "{:>4.0} s  readings {}  rejected {}  alerts opened {}, open {}  delivered {}  dead {}  p95 device to delivery {p95}",
            self.elapsed_s, self.readings_accepted, self.readings_rejected, self.alerts_opened, self.alerts_open, self.delivered, self.dead
        )
    }
}

/// A counter's value as a whole number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole and not negative; the cast saturates")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}
