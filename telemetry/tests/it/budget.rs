//! The budget of tenants: who has series of their own, and where the rest are counted.

use pulse_telemetry::{Definition, Telemetry};

static READINGS: Definition = Definition::counter("pulse_readings_total", "{reading}", "Readings.", &["tenant_id", "result"]);
static ALERTS: Definition = Definition::counter("pulse_alerts_total", "{alert}", "Alerts.", &["tenant_id", "service"]);
static OPEN_ALERTS: Definition = Definition::gauge("pulse_open_alerts", "{alert}", "Open alerts.", &["tenant_id"]);

fn telemetry(tenants: usize) -> Telemetry {
    Telemetry::builder("worker").env(|_| None).label_values_max(tenants).init().unwrap()
}

fn readings(telemetry: &Telemetry, tenant: &str) -> Option<f64> {
    telemetry.value("pulse_readings_total", &[("tenant_id", tenant), ("result", "accepted")])
}

fn alerts(telemetry: &Telemetry, tenant: &str) -> Option<f64> {
    telemetry.value("pulse_alerts_total", &[("tenant_id", tenant)])
}

fn open_alerts(telemetry: &Telemetry, tenant: &str) -> Option<f64> {
    telemetry.value("pulse_open_alerts", &[("tenant_id", tenant)])
}

fn overflows(telemetry: &Telemetry) -> f64 {
    telemetry.value("pulse_telemetry_label_overflows_total", &[("label", "tenant_id")]).unwrap()
}

fn places_taken(telemetry: &Telemetry) -> f64 {
    telemetry.value("pulse_telemetry_label_values", &[("label", "tenant_id")]).unwrap()
}

fn record(telemetry: &Telemetry, tenant: &str, n: u64) {
    telemetry.counter(&READINGS).add(n, &[("tenant_id", tenant), ("result", "accepted")]);
}

fn show(telemetry: &Telemetry, tenants: &[(&str, f64)]) {
    telemetry.snapshot(&OPEN_ALERTS).replace(tenants.iter().map(|(tenant, value)| (vec![(*tenant).to_owned()], *value)).collect());
}

#[test]
fn the_first_keep_their_series_and_the_rest_share_one() {
    let telemetry = telemetry(2);
    assert_eq!((places_taken(&telemetry), overflows(&telemetry)), (0.0, 0.0));
    record(&telemetry, "a", 1);
    assert_eq!(readings(&telemetry, "_other"), None, "there is room");
    let others = ["b", "c", "d"];
    others.iter().for_each(|tenant| record(&telemetry, tenant, 10));
    record(&telemetry, "a", 1);
    assert_eq!((readings(&telemetry, "a"), readings(&telemetry, "b")), (Some(2.0), Some(10.0)));
    assert_eq!((readings(&telemetry, "c"), readings(&telemetry, "_other")), (None, Some(20.0)));
    assert_eq!((places_taken(&telemetry), overflows(&telemetry)), (2.0, 2.0));
    assert_eq!(telemetry.complaints(), [""; 0], "it is nobody's mistake");
}

/// A tenant is itself in all metrics or in none, whichever it came to first and by whichever way.
#[test]
fn one_decision_holds_for_every_metric() {
    let telemetry = telemetry(1);
    record(&telemetry, "a", 1);
    record(&telemetry, "b", 1);
    let bound = ["a", "b"].map(|tenant| telemetry.counter(&ALERTS).bind(&[("tenant_id", tenant)]));
    bound.iter().for_each(|alerts| alerts.add(5));
    show(&telemetry, &[("b", 7.0), ("a", 1.0), ("c", 2.0)]);
    for (values, other) in [(alerts as fn(&Telemetry, &str) -> Option<f64>, 5.0), (open_alerts, 9.0), (readings, 1.0)] {
        assert!(values(&telemetry, "a").is_some());
        assert_eq!((values(&telemetry, "b"), values(&telemetry, "_other")), (None, Some(other)));
    }
    assert_eq!(overflows(&telemetry), 4.0, "a reading and an alert of b, and two series of the snapshot");
}

#[test]
fn the_share_of_the_rest_shows_0_before_its_first_count() {
    let telemetry = telemetry(1);
    let _bound = telemetry.counter(&ALERTS).bind(&[("tenant_id", "a")]);
    assert_eq!((alerts(&telemetry, "a"), alerts(&telemetry, "_other")), (Some(0.0), Some(0.0)), "the budget is used up");
    assert_eq!(overflows(&telemetry), 0.0);
}

/// All tenants are bound at the start, in any order; those that record get the places.
#[test]
fn being_bound_keeps_nobody_out() {
    let telemetry = telemetry(3);
    let tenants: Vec<String> = (0..10).map(|tenant| tenant.to_string()).collect();
    let bound: Vec<_> = tenants.iter().map(|tenant| telemetry.counter(&ALERTS).bind(&[("tenant_id", tenant)])).collect();
    assert_eq!((alerts(&telemetry, "0"), alerts(&telemetry, "9")), (Some(0.0), None));
    bound[0].add(1);
    bound[9].add(1);
    bound[8].add(2);
    bound[7].add(4);
    let shown = ["0", "9", "8", "7", "1", "_other"].map(|tenant| alerts(&telemetry, tenant));
    assert_eq!(shown, [Some(1.0), Some(1.0), Some(2.0), None, None, Some(4.0)]);
    assert_eq!((places_taken(&telemetry), overflows(&telemetry)), (3.0, 1.0));
    bound.iter().for_each(|alerts| alerts.add(0));
    assert_eq!(overflows(&telemetry), 1.0, "0 is nothing that was recorded");
}

/// What is shown gives way to who records, and is then part of the rest from the very next collection on.
#[test]
fn a_snapshot_keeps_nobody_out() {
    let telemetry = telemetry(2);
    show(&telemetry, &[("a", 1.0), ("b", 2.0), ("c", 4.0), ("_other", 8.0), ("_unknown", 16.0)]);
    assert_eq!(places_taken(&telemetry), 2.0);
    let shown = |tenants: [&str; 5]| tenants.map(|tenant| open_alerts(&telemetry, tenant));
    let sum = telemetry.series("pulse_open_alerts").iter().map(|(_, value)| value).sum::<f64>();
    assert_eq!((shown(["c", "d", "_unknown", "_other", ""])[2], sum), (Some(16.0), 31.0));
    record(&telemetry, "c", 1);
    record(&telemetry, "d", 1);
    assert_eq!(shown(["a", "b", "c", "_unknown", "_other"]), [None, None, Some(4.0), Some(16.0), Some(11.0)]);
    assert_eq!(readings(&telemetry, "d"), Some(1.0));
    show(&telemetry, &[]);
    assert_eq!(telemetry.series("pulse_open_alerts"), []);
}

#[test]
fn no_tenant_is_none_of_them() {
    let telemetry = telemetry(1);
    for tenant in ["_unknown", "_other", "a"] {
        record(&telemetry, tenant, 1);
        telemetry.counter(&READINGS).bind(&[("tenant_id", tenant), ("result", "accepted")]).add(1);
        assert_eq!(readings(&telemetry, tenant), Some(2.0), "{tenant}");
    }
    assert_eq!((places_taken(&telemetry), overflows(&telemetry)), (1.0, 0.0));
}

#[test]
fn without_any_place_all_are_the_rest() {
    let telemetry = telemetry(0);
    telemetry.counter(&ALERTS).bind(&[("tenant_id", "a")]).add(3);
    record(&telemetry, "b", 1);
    assert_eq!((alerts(&telemetry, "a"), alerts(&telemetry, "_other"), readings(&telemetry, "_other")), (None, Some(3.0), Some(1.0)));
}

/// The other labels are closed sets: past any reason the kit says so rather than let the SDK take the labels.
#[test]
fn a_label_that_is_not_the_closed_set_it_should_be_is_refused() {
    let telemetry = telemetry(10);
    let add = |result: u32| telemetry.counter(&READINGS).add(1, &[("tenant_id", "a"), ("result", &result.to_string())]);
    (0..40).for_each(add);
    telemetry.counter(&READINGS).bind(&[("tenant_id", "a"), ("result", "another")]).add(1);
    assert_eq!(telemetry.series("pulse_readings_total").len(), 32);
    assert_eq!(telemetry.complaints().len(), 1, "{:?}", telemetry.complaints());
    assert!(telemetry.complaints()[0].contains("more than 32 label sets"), "{:?}", telemetry.complaints());
}
