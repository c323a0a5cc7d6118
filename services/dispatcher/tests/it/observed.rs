//! The numbers are true, also while the work is stuck or the store is gone.

use std::time::Duration;

use pulse_dispatcher::Settings;
use pulse_runtime::Error;
use pulse_store::Claim;

use crate::fixture::{World, eventually, quick};

const DEPTH: &str = "pulse_queue_depth";
const AGE: &str = "pulse_queue_oldest_age_seconds";
const QUEUE: &[(&str, &str)] = &[("queue_name", "pending_alerts")];

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_from_the_first_scrape_on() {
    let world = World::new().await;
    let dispatcher = world.dispatcher().await;
    let scrape = dispatcher.get("/metrics").await;
    for series in [
        "pulse_queue_depth{queue_name=\"pending_alerts\",service=\"dispatcher\"} 0",
        "pulse_dispatcher_events_total{result=\"routed\"} 0",
        "pulse_dispatcher_events_total{result=\"unrouted\"} 0",
        "pulse_dispatcher_jobs_created_total 0",
        "pulse_dispatcher_leases_lost_total 0",
        "pulse_processing_duration_seconds_bucket{operation=\"dispatch_cycle\",service=\"dispatcher\",le=\"0.01\"}",
        "pulse_db_pool_size{service=\"dispatcher\"}",
    ] {
        assert!(scrape.lines().any(|line| line.starts_with(series)), "{series} is not in\n{scrape}");
    }
    for path in ["/health", "/ready"] {
        let answer = dispatcher.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
    }
    let defined: Vec<&str> = pulse_dispatcher::metrics::DEFINITIONS.iter().map(|definition| definition.name).collect();
    let mut shown: Vec<&str> = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE pulse_dispatcher_")).collect();
    shown.sort_unstable();
    let expected: Vec<String> = defined.iter().map(|name| format!("{} counter", &name["pulse_dispatcher_".len()..])).collect();
    assert_eq!(shown, expected, "what is defined is what is shown");
    assert_eq!(dispatcher.telemetry.complaints(), Vec::<String>::new());
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_jobs_are_counted_by_what_became_of_them() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    for _ in 0..2 {
        world.route(&tenant, webhook, |route| route.device_prefixes = vec!["wanted".to_owned()]).await;
    }
    world.open(vec![world.alert(&tenant, "wanted"), world.alert(&tenant, "not"), world.alert(&tenant, "nor")]).await;
    let dispatcher = world.dispatcher().await;
    world.drained().await;
    let events = |result| dispatcher.value("pulse_dispatcher_events_total", &[("result", result)]);
    eventually("they are counted", async || ["routed", "unrouted"].map(events) == [1.0, 2.0]).await;
    assert_eq!(dispatcher.value("pulse_dispatcher_jobs_created_total", &[]), 2.0);
    assert_eq!(dispatcher.value("pulse_dispatcher_leases_lost_total", &[]), 0.0);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_queue_shows_its_true_depth_and_age() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    world.open_many(&tenant, 700).await;
    let claim = Claim { now: world.clock.now(), limit: 1_000, lease: Duration::from_secs(3_600) };
    assert_eq!(world.store.claim_events(claim).await.unwrap().events.len(), 700);
    world.hand.advance(Duration::from_secs(90));
    let dispatcher = world.dispatcher().await;
    eventually("depth and age are true", async || dispatcher.value(DEPTH, QUEUE) == 700.0 && dispatcher.value(AGE, QUEUE) == 90.0).await;
    world.hand.advance(Duration::from_secs(3_600));
    eventually("an emptied queue says 0", async || dispatcher.value(DEPTH, QUEUE) == 0.0 && dispatcher.value(AGE, QUEUE) == 0.0).await;
    assert_eq!(world.depth().await, 0);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_is_an_error_that_is_counted_and_outlived() {
    let world = World::new().await;
    let dispatcher = world.dispatcher().await;
    world.store.close().await;
    eventually("errors are counted, again and again", async || dispatcher.steps("error") >= 2.0).await;
    eventually("the depth is not made up", async || dispatcher.telemetry.value(DEPTH, QUEUE).is_none()).await;
    assert!(dispatcher.is_running());
    dispatcher.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_start_nothing() {
    let world = World::new().await;
    let error = world.dispatcher_with(Settings { batch: 0, ..quick() }).await.ended().await.unwrap_err();
    assert!(matches!(error, Error::Settings(_)), "{error:?}");
}
