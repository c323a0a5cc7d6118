//! Tenants that record nothing give their places back, on `/metrics` and over OTLP at once; handles outlive that.

use std::time::Duration;

use pulse_telemetry::{BoundCounter, Definition, Telemetry};

use crate::receiver::Receiver;
use crate::series::{pushed, shown};

static ALERTS: Definition = Definition::counter("pulse_alerts_total", "{alert}", "Alerts.", &["tenant_id"]);
static READINGS: Definition = Definition::counter("pulse_readings_total", "{reading}", "Readings.", &["tenant_id", "result"]);
static OPEN_ALERTS: Definition = Definition::gauge("pulse_open_alerts", "{alert}", "Open alerts.", &["tenant_id"]);

const IDLE: Duration = Duration::from_secs(600);
const WITHIN: Duration = Duration::from_secs(10);

fn telemetry(tenants: usize) -> Telemetry {
    Telemetry::builder("worker").env(|_| None).label_values_max(tenants).label_idle_after(IDLE).init().unwrap()
}

fn bind(telemetry: &Telemetry, tenant: &str) -> BoundCounter {
    telemetry.counter(&ALERTS).bind(&[("tenant_id", tenant)])
}

fn alerts(telemetry: &Telemetry, tenants: [&str; 3]) -> [Option<f64>; 3] {
    tenants.map(|tenant| telemetry.value("pulse_alerts_total", &[("tenant_id", tenant)]))
}

/// Long enough for a tenant that recorded nothing since the last collection to be idle.
async fn grow_idle(telemetry: &Telemetry) {
    telemetry.render().unwrap();
    tokio::time::advance(IDLE).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_tenant_gives_its_place_back_and_may_come_again() {
    let telemetry = telemetry(2);
    let [a, b, c] = ["a", "b", "c"].map(|tenant| bind(&telemetry, tenant));
    a.add(5);
    b.add(3);
    c.add(1);
    telemetry.counter(&READINGS).add(2, &[("tenant_id", "a"), ("result", "accepted")]);
    assert_eq!(alerts(&telemetry, ["a", "b", "c"]), [Some(5.0), Some(3.0), None]);
    grow_idle(&telemetry).await;
    b.add(1);
    a.add(0);
    assert_eq!(alerts(&telemetry, ["a", "b", "c"]), [None, Some(4.0), None], "a was idle, b was not");
    assert_eq!(telemetry.series("pulse_readings_total").len(), 1, "all of its series end; the rest's stays");
    c.add(1);
    assert_eq!(alerts(&telemetry, ["a", "c", "_other"]), [None, Some(1.0), Some(1.0)], "c has the place now, from 0 on");
    a.add(7);
    assert_eq!(alerts(&telemetry, ["a", "c", "_other"]), [None, Some(1.0), Some(8.0)], "its handle goes on among the rest");
    grow_idle(&telemetry).await;
    b.add(1);
    assert_eq!(alerts(&telemetry, ["a", "b", "c"]), [None, Some(5.0), None]);
    a.add(2);
    assert_eq!(alerts(&telemetry, ["a", "b", "c"]), [Some(2.0), Some(5.0), None], "a begins again from 0");
}

/// Idle in one metric is not idle.
#[tokio::test(start_paused = true)]
async fn a_tenant_that_records_anything_keeps_everything() {
    let telemetry = telemetry(1);
    let alerts_of_a = bind(&telemetry, "a");
    alerts_of_a.add(1);
    for _ in 0..5 {
        grow_idle(&telemetry).await;
        telemetry.counter(&READINGS).add(1, &[("tenant_id", "a"), ("result", "accepted")]);
    }
    assert_eq!(alerts(&telemetry, ["a", "_other", "_unknown"]), [Some(1.0), Some(0.0), None]);
}

/// What a snapshot shows is there to be seen, but who records comes first.
#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_shown_keeps_its_place_until_another_needs_it() {
    let telemetry = telemetry(1);
    bind(&telemetry, "a").add(1);
    telemetry.snapshot(&OPEN_ALERTS).replace(vec![(vec!["a".to_owned()], 4.0)]);
    for _ in 0..3 {
        grow_idle(&telemetry).await;
    }
    assert_eq!(alerts(&telemetry, ["a", "b", "_other"]), [Some(1.0), None, Some(0.0)]);
    bind(&telemetry, "b").add(2);
    assert_eq!(alerts(&telemetry, ["a", "b", "_other"]), [None, Some(2.0), Some(0.0)]);
    assert_eq!(telemetry.value("pulse_open_alerts", &[("tenant_id", "_other")]), Some(4.0));
}

/// A service that speaks of a tenant without counting anything keeps its 0 in sight, but keeps nobody out by it.
#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_spoken_of_keeps_its_place_until_another_needs_it() {
    let telemetry = telemetry(1);
    let know = |tenant| telemetry.counter(&ALERTS).add(0, &[("tenant_id", tenant)]);
    bind(&telemetry, "a").add(1);
    for _ in 0..3 {
        grow_idle(&telemetry).await;
        know("a");
    }
    assert_eq!(alerts(&telemetry, ["a", "b", "_other"]), [Some(1.0), None, Some(0.0)]);
    bind(&telemetry, "b").add(2);
    know("a");
    assert_eq!(alerts(&telemetry, ["a", "b", "_other"]), [None, Some(2.0), Some(0.0)]);
}

/// Nothing lingers in either exporter, whichever collects first. The clock is the real one: the exporter's thread has no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_series_of_an_idle_tenant_end_in_both_exporters() {
    let receiver = Receiver::http().await;
    let variables = receiver.env();
    let env = move |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let telemetry = Telemetry::builder("worker").env(env).label_idle_after(Duration::from_millis(20)).init().unwrap();
    for push_first in [true, false] {
        let handle = bind(&telemetry, "a");
        handle.add(3);
        telemetry.render().unwrap();
        telemetry.flush(WITHIN).await.unwrap();
        let is_there = pushed(receiver.pushes().last().unwrap()).contains_key("pulse_alerts_total{tenant_id=\"a\"}");
        assert!(is_there || push_first, "a slow machine may be late once");
        let mut collections = 0;
        loop {
            let gone = if push_first {
                telemetry.flush(WITHIN).await.unwrap();
                !pushed(receiver.pushes().last().unwrap()).contains_key("pulse_alerts_total{tenant_id=\"a\"}")
            } else {
                !shown(&telemetry.render().unwrap()).contains_key("pulse_alerts_total{tenant_id=\"a\"}")
            };
            collections += 1;
            if gone {
                break;
            }
            assert!(collections < 1_000);
        }
        telemetry.flush(WITHIN).await.unwrap();
        let series = [shown(&telemetry.render().unwrap()), pushed(receiver.pushes().last().unwrap())];
        assert!(series.iter().all(|series| !series.contains_key("pulse_alerts_total{tenant_id=\"a\"}")), "{series:?}");
        handle.add(1);
        telemetry.flush(WITHIN).await.unwrap();
        assert_eq!(pushed(receiver.pushes().last().unwrap())["pulse_alerts_total{tenant_id=\"a\"}"], 1.0);
    }
}
