//! What a caller may get wrong: it is said once, nothing is recorded, nothing panics.

use pulse_telemetry::Definition;

use crate::telemetry;

static READINGS: Definition = Definition::counter("pulse_readings_total", "{reading}", "Readings.", &["tenant_id", "service"]);
static OTHER_READINGS: Definition = Definition::counter("pulse_readings_total", "{reading}", "Readings.", &["device_id"]);
static SAME_READINGS: Definition = Definition::counter("pulse_readings_total", "{reading}", "Readings.", &["tenant_id", "service"]);
static LEVEL: Definition = Definition::gauge("pulse_level", "1", "Level.", &["tank"]);
static OPEN_LEVEL: Definition = Definition::gauge("pulse_open_level", "1", "Level.", &["tenant_id"]);
static SIZES: Definition = Definition::histogram("pulse_message_bytes", "By", "Sizes.", &[], &[10.0]);
static NAMELESS: Definition = Definition::counter("pulse readings", "{reading}", "Readings.", &[]);

#[test]
fn the_same_definition_gives_the_same_instrument() {
    let telemetry = telemetry("worker");
    telemetry.counter(&READINGS).add(1, &[("tenant_id", "acme")]);
    telemetry.counter(&READINGS).bind(&[("tenant_id", "acme")]).add(2);
    telemetry.counter(&SAME_READINGS).add(4, &[("tenant_id", "acme")]);
    assert_eq!(telemetry.value("pulse_readings_total", &[("tenant_id", "acme")]), Some(7.0));
    assert_eq!(telemetry.value("pulse_readings_total", &[("tenant_id", "acme"), ("service", "worker")]), Some(7.0));
    assert_eq!(telemetry.complaints(), [""; 0]);
}

#[test]
fn a_second_definition_of_a_name_is_refused() {
    let telemetry = telemetry("worker");
    telemetry.counter(&READINGS).add(1, &[("tenant_id", "acme")]);
    let refused = telemetry.counter(&OTHER_READINGS);
    refused.add(10, &[("device_id", "d")]);
    refused.bind(&[("device_id", "d")]).add(10);
    assert_eq!(telemetry.series("pulse_readings_total").len(), 1);
    let complaints = telemetry.complaints();
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].contains("pulse_readings_total") && complaints[0].contains("defined twice"), "{complaints:?}");
}

#[test]
fn an_unsound_definition_is_refused() {
    let telemetry = telemetry("worker");
    telemetry.counter(&NAMELESS).add(1, &[]);
    telemetry.histogram(&READINGS).record(1.0, &[("tenant_id", "acme")]);
    telemetry.gauge(&LEVEL).set(1.0, &[("tank", "left")]);
    telemetry.observe(&LEVEL, &[("tank", "right")], || 2.0);
    let complaints = telemetry.complaints();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(complaints[0].contains("[a-z][a-z0-9_]*"), "{complaints:?}");
    assert!(complaints[1].contains("defined as Counter but wanted as Histogram"), "{complaints:?}");
    assert!(complaints[2].contains("in use as SetGauge"), "{complaints:?}");
    assert_eq!(telemetry.series("pulse_level").len(), 1);
    assert!(telemetry.render().is_ok());
}

#[test]
fn wrong_labels_are_dropped_and_said_once() {
    let telemetry = telemetry("worker");
    let readings = telemetry.counter(&READINGS);
    for _ in 0..3 {
        readings.add(1, &[("tenant", "acme")]);
        readings.add(1, &[]);
        readings.add(1, &[("tenant_id", "acme"), ("service", "other")]);
        readings.bind(&[("device_id", "d")]).add(1);
    }
    telemetry.observe(&LEVEL, &[], || 1.0);
    assert!(telemetry.series("pulse_readings_total").is_empty() && telemetry.series("pulse_level").is_empty());
    let complaints = telemetry.complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains(r#"takes the labels ["tenant_id"] but was given ["tenant"]"#), "{complaints:?}");
}

#[test]
fn only_finite_numbers_are_recorded() {
    let telemetry = telemetry("worker");
    let (level, sizes) = (telemetry.gauge(&LEVEL).bind(&[("tank", "left")]), telemetry.histogram(&SIZES));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        level.set(value);
        sizes.record(value, &[]);
    }
    sizes.record(3.0, &[]);
    assert_eq!(telemetry.value("pulse_level", &[("tank", "left")]), Some(0.0));
    assert_eq!(telemetry.value("pulse_message_bytes_sum", &[]), Some(3.0));
    assert_eq!(telemetry.complaints().len(), 2);
}

/// What would `_other` show of a gauge that each tenant sets for itself? A snapshot can be summed.
#[test]
fn a_gauge_with_an_open_label_is_a_snapshot_or_refused() {
    let telemetry = telemetry("worker");
    telemetry.gauge(&OPEN_LEVEL).set(1.0, &[("tenant_id", "acme")]);
    telemetry.observe(&OPEN_LEVEL, &[("tenant_id", "acme")], || 2.0);
    assert_eq!(telemetry.series("pulse_open_level"), []);
    let complaints = telemetry.complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains("only a counter and a snapshot may"), "{complaints:?}");
    telemetry.snapshot(&OPEN_LEVEL).replace(vec![(vec!["acme".to_owned()], 3.0)]);
    assert_eq!(telemetry.value("pulse_open_level", &[("tenant_id", "acme")]), Some(3.0));
}
