//! The numbers are true, also while the work is stuck or the store is gone.

use std::time::Duration;

use pulse_evaluator::Settings;
use pulse_runtime::Error;
use serde_json::json;
use sqlx::Connection as _;

use crate::fixture::{World, eventually, quick};

const DEPTH: &str = "pulse_queue_depth";
const AGE: &str = "pulse_queue_oldest_age_seconds";
const QUEUE: &[(&str, &str)] = &[("queue_name", "devices_to_evaluate")];
const CYCLE: &[(&str, &str)] = &[("operation", "evaluation_cycle")];

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_from_the_first_scrape_on() {
    let world = World::new().await;
    world.tenant("t1", 0).await;
    let evaluator = world.evaluator().await;
    let scrape = evaluator.get("/metrics").await;
    for series in [
        "pulse_queue_depth{queue_name=\"devices_to_evaluate\",service=\"evaluator\"} 0",
        "pulse_evaluator_rules_evaluated_total{tenant_id=\"t1\"} 0",
        "pulse_evaluator_alerts_created_total{tenant_id=\"t1\"} 0",
        "pulse_evaluator_evaluation_errors_total{tenant_id=\"t1\"} 0",
        "pulse_evaluator_leases_lost_total 0",
        "pulse_processing_duration_seconds_bucket{operation=\"evaluation_cycle\",service=\"evaluator\",le=\"0.01\"}",
        "pulse_db_pool_size{service=\"evaluator\"}",
    ] {
        assert!(scrape.lines().any(|line| line.starts_with(series)), "{series} is not in\n{scrape}");
    }
    for path in ["/health", "/ready"] {
        let answer = evaluator.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
    }
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_comes_later_is_counted_from_its_first_judgement() {
    let world = World::new().await;
    let evaluator = world.evaluator().await;
    let tenant = world.tenant("late", 1).await;
    world.temps(&tenant, 0, &[1.0]).await;
    eventually("it shows", async || {
        evaluator.telemetry.value("pulse_evaluator_rules_evaluated_total", &[("tenant_id", "late")]) == Some(0.0)
    })
    .await;
    evaluator.stop().await;
}

/// Another process holds the database's writer, so that no cycle comes to an end, while heartbeat timers ring.
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_evaluator_shows_the_true_depth_and_its_errors() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 60).await;
    let all = |range: std::ops::Range<usize>| range.map(|n| world.reading(&tenant, n, json!({"temp": 1}))).collect::<Vec<_>>();
    world.store.append_readings(&all(50..60)).await.unwrap();
    let evaluator = world.evaluator().await;
    world.evaluated().await;
    evaluator.stop().await;
    world.store.append_readings(&all(0..50)).await.unwrap();

    let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", world.file.display())).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    world.hand.advance(Duration::from_secs(20));
    let evaluator = world.start(Settings { cycle_deadline: Duration::from_millis(100), ..quick() }).await;
    let is = |depth, age| evaluator.telemetry.value(DEPTH, QUEUE) == Some(depth) && evaluator.telemetry.value(AGE, QUEUE) == Some(age);
    eventually("depth and age are true", async || is(50.0, 20.0)).await;
    eventually("errors are counted", async || evaluator.cycles("error") >= 2.0).await;
    let errors = evaluator.cycles("error");
    let seconds = || evaluator.value("pulse_processing_duration_seconds_sum", CYCLE);
    eventually("their time is counted", async || seconds() >= errors * 0.1).await;
    assert_eq!(evaluator.cycles("success"), 0.0);
    world.hand.advance(Duration::from_secs(20));
    eventually("they keep moving", async || is(60.0, 40.0)).await;

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    eventually("the claims that were cut off have been carried out", async || evaluator.cycles("success") >= 1.0).await;
    world.hand.advance(Duration::from_secs(30));
    eventually("an emptied queue says 0", async || is(0.0, 0.0)).await;
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_is_an_error_that_is_counted_and_outlived() {
    let world = World::new().await;
    let evaluator = world.evaluator().await;
    evaluator.store.close().await;
    eventually("errors are counted, again and again", async || evaluator.cycles("error") >= 2.0).await;
    eventually("the depth is not made up", async || evaluator.telemetry.value(DEPTH, QUEUE).is_none()).await;
    assert!(evaluator.is_running());
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_is_not_in_the_duration() {
    let world = World::new().await;
    let slow = Duration::from_millis(200);
    let evaluator = world.evaluator_with(Settings { poll: slow, ..quick() }).await;
    let start = tokio::time::Instant::now();
    eventually("some polls went by", async || evaluator.cycles("success") >= 4.0).await;
    let waited = start.elapsed().as_secs_f64();
    assert!(waited >= 0.5, "{waited}");
    let seconds = evaluator.value("pulse_processing_duration_seconds_sum", CYCLE);
    assert!(seconds < waited / 2.0, "{seconds} s in cycles of {waited} s");
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_wake_the_evaluator_long_before_its_poll() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    world.rule(&tenant, json!({})).await;
    let settings = Settings { poll: Duration::from_secs(3_600), ..quick() };
    // Signals travel within a process, between doors to one database.
    let evaluator = world.evaluator_with(settings).await;
    for (temp, history) in [(90.0, "OPEN"), (20.0, "OPEN CLOSED"), (90.0, "OPEN CLOSED OPEN")] {
        world.temps(&tenant, 0, &[temp]).await;
        eventually(history, async || world.history(&tenant).await == history).await;
    }
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_readings_is_evaluated_in_batches() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    world.rule(&tenant, json!({})).await;
    let interval = Duration::from_millis(100);
    // A claim takes all that a device sends in a pause: a rest would rightly be taken up at once.
    let settings = Settings { poll: Duration::from_secs(3_600), min_interval: interval, readings_max: 1_000, ..quick() };
    let evaluator = world.evaluator_with(settings).await;
    let (before, start) = (evaluator.cycles("success"), tokio::time::Instant::now());
    for _ in 0..100 {
        world.temps(&tenant, 0, &[1.0]).await;
    }
    world.evaluated().await;
    eventually("all are counted", async || evaluator.of(&tenant, "rules_evaluated") == 100.0).await;
    let cycles = evaluator.cycles("success") - before;
    let most = start.elapsed().as_secs_f64() / interval.as_secs_f64() + 2.0;
    assert!(cycles <= most.min(60.0), "{cycles} cycles for 100 readings, at most {most}");
    evaluator.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_start_nothing() {
    let world = World::new().await;
    let error = world.evaluator_with(Settings { batch_size: 0, ..quick() }).await.ended().await.unwrap_err();
    assert!(matches!(error, Error::Settings(_)), "{error:?}");
}
