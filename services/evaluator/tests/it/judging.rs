//! Readings in, alerts and events out.

use std::time::Duration;

use pulse_domain::alert::{AlertStatus, AlertType, EventKind};
use pulse_domain::device::{DeviceStatus, Lifecycle};
use serde_json::json;

use crate::fixture::{TRACE, World, device, eventually, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_breach_opens_an_alert_and_its_end_closes_it() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    let rule = world.rule(&tenant, json!({})).await;
    let evaluator = world.evaluator().await;
    let received_at = world.clock.now();
    world.temps(&tenant, 0, &[20.0, 90.5]).await;
    eventually("it opened", async || world.alerts(&tenant).await.len() == 1).await;
    let alert = world.alerts(&tenant).await.remove(0);
    assert_eq!((alert.status, alert.alert_type, alert.rule_id), (AlertStatus::Open, AlertType::Threshold, Some(rule.rule_id)));
    assert_eq!(alert.summary, "Too warm on d0: temp 90.5 > 80");
    assert_eq!(alert.details["conditions"][0]["value"], 90.5);

    world.temps(&tenant, 0, &[95.0]).await;
    eventually("it was brought up to date", async || world.alerts(&tenant).await[0].details["metric_value"] == 95.0).await;
    world.temps(&tenant, 0, &[20.0]).await;
    eventually("it closed", async || world.alerts(&tenant).await[0].status == AlertStatus::Closed).await;
    let events = world.events(&tenant).await;
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Open, EventKind::Closed]);
    for event in events {
        let trace = event.trace.unwrap();
        assert_eq!((event.origin_at, &trace.as_str()[..35]), (Some(received_at), &TRACE[..35]), "the reading's trace");
        assert_ne!(trace.as_str(), TRACE, "a span of its own");
    }
    assert_eq!(evaluator.of(&tenant, "alerts_created"), 1.0);
    assert_eq!(evaluator.of(&tenant, "rules_evaluated"), 4.0);
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_counts_however_long_they_waited() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 2).await;
    world.rule(&tenant, json!({})).await;
    // More than a claim takes of one device, with breaches that last one reading.
    let temps: Vec<f64> = (0..100).map(|n| if n % 10 == 9 { 90.0 } else { 20.0 }).collect();
    for n in 0..2 {
        world.temps(&tenant, n, &temps).await;
    }
    let evaluator = world.evaluator_with(pulse_evaluator::Settings { readings_max: 7, batch_size: 1, ..quick() }).await;
    world.evaluated().await;
    assert_eq!(world.alerts(&tenant).await.len(), 20);
    let events = world.events(&tenant).await;
    assert_eq!(events.len(), 38, "the last of each device is open");
    eventually("all are counted", async || evaluator.of(&tenant, "rules_evaluated") == 200.0).await;
    assert_eq!(evaluator.of(&tenant, "alerts_created"), 20.0);
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duration_is_remembered_from_cycle_to_cycle() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    world.rule(&tenant, json!({"duration_seconds": 60})).await;
    let evaluator = world.evaluator().await;
    for (seconds, opened) in [(0, 0), (30, 0), (29, 0), (1, 1)] {
        world.hand.advance(Duration::from_secs(seconds));
        world.temps(&tenant, 0, &[90.0]).await;
        world.evaluated().await;
        let open = world.alerts(&tenant).await.iter().filter(|alert| alert.alert_type == AlertType::Threshold).count();
        assert_eq!(open, opened, "after {seconds} s more");
    }
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_device_is_stale_until_its_next_message() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    let evaluator = world.evaluator().await;
    assert_eq!(world.status(&tenant, 0).await, DeviceStatus::Unknown);
    world.temps(&tenant, 0, &[1.0]).await;
    eventually("it is online", async || world.status(&tenant, 0).await == DeviceStatus::Online).await;

    world.hand.advance(Duration::from_millis(30_001));
    eventually("its silence was looked at and held: ingest is not known", async || world.depth().await == 0).await;
    assert_eq!(world.status(&tenant, 0).await, DeviceStatus::Online);
    world.hand.advance(Duration::from_secs(5));
    world.ingest_is_up().await;
    eventually("it is stale", async || world.status(&tenant, 0).await == DeviceStatus::Stale).await;
    let alert = world.alerts(&tenant).await.remove(0);
    assert_eq!((alert.alert_type, alert.severity.get(), alert.status), (AlertType::NoHeartbeat, 4, AlertStatus::Open));
    assert_eq!(world.events(&tenant).await[0].origin_at, None);

    world.temps(&tenant, 0, &[1.0]).await;
    eventually("it is online again", async || world.status(&tenant, 0).await == DeviceStatus::Online).await;
    assert_eq!(world.history(&tenant).await, "OPEN CLOSED");
    assert_eq!(evaluator.of(&tenant, "alerts_created"), 1.0);
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_renewed_when_they_change() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 2).await;
    let mut rule = world.rule(&tenant, json!({})).await;
    let evaluator = world.evaluator().await;
    world.temps(&tenant, 0, &[85.0]).await;
    eventually("it opened", async || world.history(&tenant).await == "OPEN").await;
    rule.spec.threshold = Some(86.0);
    rule.updated_at = world.clock.now();
    assert!(world.store.update_rule(&rule, &Default::default()).await.unwrap());
    world.temps(&tenant, 0, &[85.0]).await;
    eventually("it closed", async || world.history(&tenant).await == "OPEN CLOSED").await;
    assert!(world.store.delete_rule(&tenant, rule.rule_id, world.clock.now(), &Default::default()).await.unwrap());
    world.temps(&tenant, 0, &[99.0]).await;
    world.evaluated().await;
    assert_eq!(world.history(&tenant).await, "OPEN CLOSED");
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_out_of_service_opens_nothing() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    world.rule(&tenant, json!({})).await;
    let now = world.clock.now();
    assert!(world.store.update_device(&tenant, &device(0, Lifecycle::Inactive), now, &Default::default()).await.unwrap());
    let evaluator = world.evaluator().await;
    world.temps(&tenant, 0, &[90.0]).await;
    world.evaluated().await;
    assert_eq!(world.alerts(&tenant).await, []);
    assert_eq!(evaluator.of(&tenant, "rules_evaluated"), 0.0);
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silenced_alert_does_not_open_again() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    world.rule(&tenant, json!({})).await;
    let evaluator = world.evaluator().await;
    world.temps(&tenant, 0, &[90.0]).await;
    eventually("it opened", async || world.history(&tenant).await == "OPEN").await;
    let alert_id = world.alerts(&tenant).await[0].alert_id;
    let until = world.clock.now() + Duration::from_secs(10);
    world.store.silence_alert(&tenant, alert_id, until).await.unwrap().unwrap();
    world.temps(&tenant, 0, &[20.0, 90.0]).await;
    eventually("it closed", async || world.history(&tenant).await == "OPEN CLOSED").await;
    world.evaluated().await;
    world.hand.advance(Duration::from_secs(10));
    world.temps(&tenant, 0, &[90.0]).await;
    eventually("it opened again", async || world.history(&tenant).await == "OPEN CLOSED OPEN").await;
    eventually("what opened is counted", async || evaluator.of(&tenant, "alerts_created") == 2.0).await;
    evaluator.stop().await;
}
