//! Ten thousand tenants, more than the budget has places for.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pulse_telemetry::{BoundCounter, Definition, Telemetry};

use crate::telemetry;

static READINGS: Definition = Definition::counter("pulse_readings_total", "{reading}", "Readings.", &["tenant_id", "result"]);
static RULES: Definition = Definition::counter("pulse_rules_total", "{rule}", "Rules.", &["tenant_id"]);
static ALERTS: Definition = Definition::counter("pulse_alerts_total", "{alert}", "Alerts.", &["tenant_id"]);
static DEVICES: Definition = Definition::gauge("pulse_devices", "{device}", "Devices.", &["tenant_id", "status"]);

const TENANTS: u64 = 10_000;
const PLACES: usize = 1_000;
/// A build without optimisations, beside other tests, has ten times as long.
const SCRAPE_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 100 });

/// A log that is kept.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tenant(number: u64) -> String {
    format!("tenant-{number}")
}

/// Handles of every tenant, as services hold them, each with a count of its own.
fn record(telemetry: &Telemetry) -> Vec<BoundCounter> {
    let mut handles = Vec::new();
    for number in 0..TENANTS {
        let tenant_id = &*tenant(number);
        for counter in [telemetry.counter(&RULES), telemetry.counter(&ALERTS)] {
            handles.push(counter.bind(&[("tenant_id", tenant_id)]));
        }
        telemetry.counter(&READINGS).add(1, &[("tenant_id", tenant_id), ("result", "accepted")]);
    }
    handles.iter().for_each(|handle| handle.add(1));
    let devices = (0..TENANTS).flat_map(|number| ["ONLINE", "STALE"].map(|status| (vec![tenant(number), status.to_owned()], 1.0)));
    telemetry.snapshot(&DEVICES).replace(devices.collect());
    handles
}

#[test]
fn ten_thousand_tenants_stay_within_the_budget() {
    let telemetry = telemetry("worker");
    let _handles = record(&telemetry);
    let fastest = (0..5).map(|_| {
        let began = Instant::now();
        telemetry.render().unwrap();
        began.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < SCRAPE_MAX, "a scrape took {fastest:?}");
    for (name, sets) in [("pulse_readings_total", 1), ("pulse_rules_total", 1), ("pulse_alerts_total", 1), ("pulse_devices", 2)] {
        let series = telemetry.series(name);
        assert_eq!(series.len(), (PLACES + 1) * sets, "{name}");
        assert_eq!(series.iter().map(|(_, value)| value).sum::<f64>(), (TENANTS * sets as u64) as f64, "{name}");
        assert!(series.iter().all(|(labels, _)| labels.contains_key("tenant_id")), "the SDK took no labels of {name}");
    }
    let text = telemetry.render().unwrap();
    assert!(!text.contains("otel_metric_overflow"));
    assert!(text.contains(&format!("pulse_telemetry_label_values{{label=\"tenant_id\",service=\"worker\"}} {PLACES}\n")));
}

#[test]
fn the_log_names_the_first_that_are_past_it_once_each() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let telemetry = telemetry("worker");
        let handles = record(&telemetry);
        handles.iter().for_each(|handle| handle.add(1));
        record(&telemetry);
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let names = |number: usize| text.lines().filter(|line| line.contains(&format!("tenant_id=\"tenant-{number}\""))).count();
    assert_eq!((names(PLACES - 1), names(PLACES), names(PLACES + 99), names(PLACES + 100)), (0, 1, 1, 0), "{text}");
    assert_eq!(text.lines().count(), 101, "and one line that says so: {text}");
    assert!(text.lines().last().unwrap().contains("no further ones are named"), "{text}");
}

/// Handles from many threads while places change hands: nothing is lost, nothing counts twice.
#[test]
fn every_count_is_somewhere_while_places_change_hands() {
    let telemetry = Telemetry::builder("worker").env(|_| None).label_values_max(8).init().unwrap();
    let counter = telemetry.counter(&ALERTS);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let counter = &counter;
            scope.spawn(move || {
                for round in 0..5_000 {
                    // Binding takes places that others, who record, take over.
                    let waiting = counter.bind(&[("tenant_id", &tenant(1_000 + (thread + round) % 40))]);
                    counter.bind(&[("tenant_id", &tenant((thread * 7 + round) % 20))]).add(1);
                    waiting.add(round % 2);
                }
            });
        }
    });
    let series = telemetry.series("pulse_alerts_total");
    assert_eq!(series.len(), 9);
    assert_eq!(series.iter().map(|(_, value)| value).sum::<f64>(), 4.0 * 5_000.0 * 1.5);
}
