//! The spans of evaluation: each alert's change in the trace of its reading, each batch in one of its own.

use std::time::Duration;

use pulse_domain::reading::NewReading;
use pulse_domain::trace::TraceParent;
use pulse_telemetry::opentelemetry::trace::SpanKind;
use serde_json::json;

use crate::fixture::{Running, TRACE, World, eventually};

const RECEIVE: &str = "receive devices_to_evaluate";
const PROCESS: &str = "process devices_to_evaluate";

/// A rule, a device's reading that breaches it, and the evaluator that found it.
async fn breach(world: &World, trace: &str) -> (pulse_domain::alert::AlertEvent, Running) {
    let tenant = world.tenant("t1", 1).await;
    world.rule(&tenant, json!({})).await;
    let trace = TraceParent::parse(trace).unwrap();
    let reading = NewReading { trace: Some(trace), ..world.reading(&tenant, 0, json!({"temp": 90})) };
    world.store.append_readings(&[reading]).await.unwrap();
    let evaluator = world.traced().await;
    eventually("it opened", async || world.history(&tenant).await == "OPEN").await;
    (world.events(&tenant).await.remove(0), evaluator)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_on_from_a_span_in_its_readings_trace() {
    let world = World::new().await;
    let (event, evaluator) = breach(&world, TRACE).await;
    let process = evaluator.spans(PROCESS, 1).await.remove(0);
    assert!(process.is_child_of(TRACE), "{process:?}");
    assert_eq!((event.trace.unwrap().as_str(), &process.kind, &process.error), (process.traceparent.as_str(), &SpanKind::Consumer, &None));
    let alert_id = event.alert.alert_id.to_string();
    for (name, value) in [
        ("messaging.system", "pulse"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "devices_to_evaluate"),
        ("pulse.tenant.id", "t1"),
        ("pulse.device.id", "d0"),
        ("pulse.event.kind", "OPEN"),
        ("pulse.alert.id", alert_id.as_str()),
    ] {
        assert_eq!(process.attribute(name), Some(value), "{name}");
    }
    let receive = evaluator.spans(RECEIVE, 1).await.remove(0);
    assert_eq!(process.link_to(&receive.traceparent).unwrap().attributes["pulse.link"], "batch");
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_a_trace_of_its_own_that_names_its_readings_and_its_calls() {
    let world = World::new().await;
    let (_, evaluator) = breach(&world, TRACE).await;
    let receive = evaluator.spans(RECEIVE, 1).await.remove(0);
    assert_eq!((&receive.parent_id, &receive.kind, &receive.error), (&None, &SpanKind::Client, &None));
    assert!(receive.link_to(TRACE).is_some(), "{receive:?}");
    assert_eq!(receive.attribute("messaging.batch.message_count"), Some("1"));
    assert_eq!(receive.attribute("messaging.operation.type"), Some("receive"));
    for operation in ["claim_due_devices", "rules_of", "commit_evaluation"] {
        let call = evaluator.spans(operation, 1).await.remove(0);
        assert!(call.is_child_of(&receive.traceparent) && call.kind == SpanKind::Client, "{call:?}");
        assert_eq!((call.attribute("db.system.name"), call.attribute("db.operation.name")), (Some("sqlite"), Some(operation)));
        assert!(receive.started_at <= call.started_at && call.ended_at <= receive.ended_at, "{operation} is within");
    }
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_reading_caused_goes_on_in_the_batchs_trace() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 1).await;
    world.temps(&tenant, 0, &[1.0]).await;
    let evaluator = world.traced().await;
    world.evaluated().await;
    world.hand.advance(Duration::from_secs(60));
    world.ingest_is_up().await;
    eventually("it is missed", async || world.history(&tenant).await == "OPEN").await;
    let process = evaluator.spans(PROCESS, 1).await.remove(0);
    let batches = evaluator.spans(RECEIVE, 2).await;
    assert!(batches.iter().any(|batch| process.is_child_of(&batch.traceparent)), "{process:?} {batches:?}");
    assert_eq!(world.events(&tenant).await[0].trace.as_ref().unwrap().as_str(), process.traceparent);
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_device_did_not_sample_stays_so() {
    let world = World::new().await;
    let unsampled = TRACE.replace("-01", "-00");
    let (event, evaluator) = breach(&world, &unsampled).await;
    let trace = event.trace.unwrap();
    assert!(trace.as_str()[..35] == TRACE[..35] && trace.as_str().ends_with("-00"), "{trace}");
    let receive = evaluator.spans(RECEIVE, 1).await.remove(0);
    assert_eq!(receive.links, [], "nobody would find it");
    assert!(evaluator.telemetry.spans().iter().all(|span| span.name != PROCESS));
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_find_nothing_are_no_spans_and_those_that_fail_are() {
    let world = World::new().await;
    let evaluator = world.traced().await;
    eventually("it has polled", async || evaluator.cycles("success") >= 3.0).await;
    assert_eq!(evaluator.telemetry.spans(), []);
    let mut other = <sqlx::SqliteConnection as sqlx::Connection>::connect(&format!("sqlite://{}", world.file.display())).await.unwrap();
    sqlx::query("ALTER TABLE device_state RENAME TO gone").execute(&mut other).await.unwrap();
    let failed = evaluator.spans(RECEIVE, 1).await.remove(0);
    assert_eq!((failed.attribute("error.type"), failed.error.as_deref()), (Some("rejected"), Some("the database refused a statement")));
    let call = evaluator.spans("claim_due_devices", 1).await.remove(0);
    assert!(call.is_child_of(&failed.traceparent) && call.error == failed.error, "{call:?}");
    evaluator.stop().await;
}
