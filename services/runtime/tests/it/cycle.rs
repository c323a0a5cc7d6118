//! What a cycle times, counts and survives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pulse_runtime::{CyclePlan, Deps, Progress, Shutdown, run_cycle};
use pulse_telemetry::Telemetry;
use tokio::sync::Notify;

const PLAN: CyclePlan = CyclePlan {
    name: "evaluation",
    poll: Duration::from_millis(20),
    pause: Duration::ZERO,
    deadline: Duration::from_millis(300),
    backoff_max: Duration::from_millis(100),
};

fn count(telemetry: &Telemetry, outcome: &str) -> f64 {
    let labels = [("service", "evaluator"), ("operation", "evaluation_cycle"), ("outcome", outcome)];
    telemetry.value("pulse_processing_total", &labels).unwrap()
}

/// Runs a cycle until `enough` steps have begun.
async fn run<F, Fut>(deps: &Deps, plan: CyclePlan, enough: u32, step: F)
where
    F: Fn(u32) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Progress, std::io::Error>> + Send,
{
    let shutdown = Shutdown::new();
    let steps = AtomicU32::new(0);
    let operation = deps.telemetry.operation("evaluation_cycle");
    run_cycle(plan, deps, operation, None, shutdown.clone(), || {
        let number = steps.fetch_add(1, Ordering::Relaxed);
        if number + 1 >= enough {
            shutdown.trigger();
        }
        step(number)
    })
    .await;
}

#[tokio::test]
async fn errors_panics_and_overruns_are_timed_and_counted_and_the_loop_goes_on() {
    let (deps, _folder) = crate::deps().await;
    run(&deps, PLAN, 5, |number| async move {
        match number {
            0 => Err(std::io::Error::other("the database is gone")),
            1 => panic!("a defect"),
            2 => std::future::pending().await,
            _ => Ok(Progress::Idle),
        }
    })
    .await;
    assert_eq!((count(&deps.telemetry, "error"), count(&deps.telemetry, "success")), (3.0, 2.0));
    let labels = [("service", "evaluator"), ("operation", "evaluation_cycle")];
    let sum = deps.telemetry.value("pulse_processing_duration_seconds_sum", &labels).unwrap();
    assert!((0.3..1.0).contains(&sum), "the overrun is in the sum, the backoffs are not: {sum}");
}

#[tokio::test]
async fn idle_waiting_is_not_in_the_duration() {
    let (deps, _folder) = crate::deps().await;
    let started = std::time::Instant::now();
    run(&deps, CyclePlan { poll: Duration::from_millis(100), ..PLAN }, 6, |_| async { Ok(Progress::Idle) }).await;
    let waited = started.elapsed().as_secs_f64();
    let labels = [("service", "evaluator"), ("operation", "evaluation_cycle")];
    let timed = deps.telemetry.value("pulse_processing_duration_seconds_sum", &labels).unwrap();
    assert!(waited >= 0.5 && timed < 0.1, "waited {waited}, timed {timed}");
}

#[tokio::test]
async fn a_step_under_way_is_finished_at_shutdown() {
    let (deps, _folder) = crate::deps().await;
    let (begun, finished) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let shutdown = Shutdown::new();
    let operation = deps.telemetry.operation("evaluation_cycle");
    let cycle = run_cycle(PLAN, &deps, operation, None, shutdown.clone(), || {
        let (begun, finished) = (Arc::clone(&begun), Arc::clone(&finished));
        async move {
            begun.notify_one();
            tokio::time::sleep(Duration::from_millis(100)).await;
            finished.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Progress::More)
        }
    });
    let stop = async {
        begun.notified().await;
        shutdown.trigger();
    };
    tokio::join!(cycle, stop);
    assert_eq!((finished.load(Ordering::Relaxed), count(&deps.telemetry, "cancelled")), (1, 0.0));
}

#[tokio::test]
async fn a_step_that_does_not_end_keeps_nobody_from_ending() {
    let (deps, _folder) = crate::deps().await;
    let patient = CyclePlan { deadline: Duration::from_secs(600), ..PLAN };
    let started = std::time::Instant::now();
    run(&deps, patient, 1, |_| std::future::pending()).await;
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    assert_eq!(count(&deps.telemetry, "error"), 1.0);
}
