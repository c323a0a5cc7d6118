//! How requests wait for a pool's connections.

use std::time::Duration;

use pulse_telemetry::Telemetry;

use crate::telemetry;

fn value(telemetry: &Telemetry, name: &str) -> Option<f64> {
    telemetry.value(&format!("pulse_db_pool_{name}"), &[])
}

#[test]
fn waits_are_counted_while_they_last_and_timed_when_they_end() {
    let telemetry = telemetry("worker");
    assert_eq!(value(&telemetry, "waiting"), None);
    let waits = telemetry.pool_waits();
    let shown = || ["waiting", "acquire_duration_seconds_count", "acquire_timeouts_total"].map(|name| value(&telemetry, name).unwrap());
    assert_eq!(shown(), [0.0, 0.0, 0.0]);
    let also = waits.clone();
    waits.begin();
    also.begin();
    assert_eq!(shown(), [2.0, 0.0, 0.0]);
    waits.end(Duration::from_millis(3), false);
    assert_eq!(shown(), [1.0, 1.0, 0.0]);
    waits.end(Duration::from_secs(5), true);
    assert_eq!(shown(), [0.0, 2.0, 1.0]);
    assert_eq!(value(&telemetry, "acquire_duration_seconds_sum"), Some(5.003));
    assert_eq!(telemetry.complaints(), [""; 0]);
}
