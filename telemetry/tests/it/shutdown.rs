//! The end is bounded whatever the collector does, and afterwards `/metrics` says so.

use std::time::{Duration, Instant};

use pulse_telemetry::{Definition, ScrapeError, ShutdownError, Telemetry};

use crate::receiver::{Receiver, black_hole, env_for, refused};
use crate::series::pushed;
use crate::{telemetry, telemetry_with};

static DONE: Definition = Definition::counter("pulse_done_total", "{job}", "Done.", &[]);

const WITHIN: Duration = Duration::from_millis(300);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(700);
const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_figures_are_pushed() {
    for receiver in [Receiver::grpc().await, Receiver::http().await] {
        let telemetry = telemetry_with("worker", receiver.env());
        telemetry.counter(&DONE).add(5, &[]);
        telemetry.shutdown(Duration::from_secs(10)).await.unwrap();
        assert_eq!(pushed(receiver.pushes().last().unwrap()).get("pulse_done_total"), Some(&5.0));
        assert_eq!(telemetry.shutdown(WITHIN).await, Ok(()), "a second time is no error");
        assert_eq!(receiver.pushes().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_does_not_hold_it_up() {
    for protocol in PROTOCOLS {
        let (address, _hole) = black_hole().await;
        let telemetry = telemetry_with("worker", env_for(protocol, address));
        let started = Instant::now();
        assert_eq!(telemetry.shutdown(WITHIN).await, Err(ShutdownError::Timeout(WITHIN)), "{protocol}");
        assert!(started.elapsed() < WITHIN + SLACK, "{protocol} took {:?}", started.elapsed());
        assert_eq!(telemetry.render(), Err(ScrapeError::ShutDown));
    }
}

/// With a push already under way when the end comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_hangs_does_not_hold_it_up() {
    for protocol in PROTOCOLS {
        let (address, _hole) = black_hole().await;
        let mut env = env_for(protocol, address);
        env.push(("OTEL_METRIC_EXPORT_INTERVAL", "1".to_owned()));
        let telemetry = telemetry_with("worker", env);
        let flush = telemetry.flush(Duration::from_millis(50)).await;
        assert_eq!(flush, Err(ShutdownError::Timeout(Duration::from_millis(50))));
        assert!(telemetry.render().is_ok(), "{protocol}: a hanging push does not hold scrapes up");
        let started = Instant::now();
        assert_eq!(telemetry.shutdown(WITHIN).await, Err(ShutdownError::Timeout(WITHIN)));
        assert!(started.elapsed() < WITHIN + SLACK, "{protocol} took {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_does_not_hold_it_up() {
    for protocol in PROTOCOLS {
        let telemetry = telemetry_with("worker", env_for(protocol, refused().await));
        let started = Instant::now();
        assert!(telemetry.shutdown(WITHIN).await.is_err(), "{protocol}");
        assert!(started.elapsed() < WITHIN + SLACK, "{protocol} took {:?}", started.elapsed());
    }
}

/// On one thread, which a blocking end would stall together with the collector's connection.
#[tokio::test]
async fn one_thread_is_not_held_up() {
    for protocol in PROTOCOLS {
        let (address, _hole) = black_hole().await;
        let telemetry = telemetry_with("worker", env_for(protocol, address));
        let started = Instant::now();
        assert_eq!(telemetry.shutdown(WITHIN).await, Err(ShutdownError::Timeout(WITHIN)), "{protocol}");
        assert!(started.elapsed() < WITHIN + SLACK, "{protocol} took {:?}", started.elapsed());
    }
}

/// Nobody called shutdown, and the runtime goes too: neither waits for the collector.
#[test]
fn dropping_it_does_not_hang() {
    for protocol in PROTOCOLS {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (telemetry, hole) = runtime.block_on(async {
            let (address, hole) = black_hole().await;
            (telemetry_with("worker", env_for(protocol, address)), hole)
        });
        let started = Instant::now();
        runtime.block_on(async { drop(telemetry) });
        drop(runtime);
        assert!(started.elapsed() < SLACK, "{protocol} took {:?}", started.elapsed());
        drop(hole);
    }
}

#[tokio::test]
async fn handles_outlive_it_quietly() {
    let telemetry = telemetry("worker");
    let (done, operation) = (telemetry.counter(&DONE), telemetry.operation("cycle"));
    telemetry.shutdown(WITHIN).await.unwrap();
    done.add(1, &[]);
    operation.start().success();
    telemetry.observe_pool(pulse_telemetry::PoolProbe::new(|| 1, || 1, || 1));
    assert_eq!(telemetry.render(), Err(ScrapeError::ShutDown));
    assert_eq!(telemetry.value("pulse_done_total", &[]), None);
    let name: &str = Telemetry::service(&telemetry);
    assert_eq!(name, "worker");
}
