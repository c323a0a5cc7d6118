//! Every way an operation can end is timed and counted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pulse_telemetry::{Operation, Telemetry};

use crate::telemetry;

const NAME: &str = "dispatch_cycle";

fn counts(telemetry: &Telemetry) -> [f64; 4] {
    let outcome = |outcome| telemetry.value("pulse_processing_total", &[("operation", NAME), ("outcome", outcome)]).unwrap();
    let timed = telemetry.value("pulse_processing_duration_seconds_count", &[("operation", NAME)]).unwrap();
    [outcome("success"), outcome("error"), outcome("cancelled"), timed]
}

fn last_success(telemetry: &Telemetry) -> f64 {
    telemetry.value("pulse_processing_last_success_timestamp_seconds", &[("operation", NAME)]).unwrap()
}

fn operation() -> (Telemetry, Operation) {
    let telemetry = telemetry("dispatcher");
    let operation = telemetry.operation(NAME);
    (telemetry, operation)
}

#[tokio::test]
async fn ok_and_err_are_counted_apart() {
    let (telemetry, operation) = operation();
    assert_eq!(operation.run(async { Err::<(), _>("no") }).await, Err("no"));
    assert_eq!((counts(&telemetry), last_success(&telemetry)), ([0.0, 1.0, 0.0, 1.0], 0.0));
    assert_eq!(operation.run(async { Ok::<_, ()>(7) }).await, Ok(7));
    assert_eq!(counts(&telemetry), [1.0, 1.0, 0.0, 2.0]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - last_success(&telemetry)).abs() < 60.0);
}

#[tokio::test]
async fn a_dropped_run_is_cancelled_and_one_never_polled_is_nothing() {
    let (telemetry, operation) = operation();
    drop(operation.run(std::future::pending::<Result<(), ()>>()));
    assert_eq!(counts(&telemetry), [0.0; 4]);
    let run = operation.run(std::future::pending::<Result<(), ()>>());
    assert!(tokio::time::timeout(Duration::from_millis(20), run).await.is_err());
    assert_eq!(counts(&telemetry), [0.0, 0.0, 1.0, 1.0]);
    let time = telemetry.value("pulse_processing_duration_seconds_sum", &[("operation", NAME)]).unwrap();
    assert!((0.02..10.0).contains(&time), "{time}");
}

#[tokio::test]
async fn a_panic_is_an_error() {
    let (telemetry, operation) = operation();
    let run = tokio::spawn(async move { operation.run(async { panic!("boom") as Result<(), ()> }).await });
    assert!(run.await.unwrap_err().is_panic());
    assert_eq!(counts(&telemetry), [0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn a_timer_counts_how_it_ended() {
    let (telemetry, operation) = operation();
    operation.start().discard();
    assert_eq!(counts(&telemetry), [0.0; 4]);
    operation.start().success();
    operation.start().error();
    drop(operation.start());
    assert_eq!(counts(&telemetry), [1.0, 1.0, 1.0, 3.0]);
}

/// Asked for twice, it is one operation.
#[test]
fn handles_of_one_name_share_their_series() {
    let (telemetry, operation) = operation();
    operation.start().success();
    telemetry.operation(NAME).start().success();
    assert_eq!(counts(&telemetry), [2.0, 0.0, 0.0, 2.0]);
    assert_eq!(telemetry.complaints(), [""; 0]);
}
