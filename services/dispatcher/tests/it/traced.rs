//! The spans of dispatch: each event in the trace that it brings, each batch in one of its own.

use pulse_domain::alert::Cause;
use pulse_domain::trace::TraceParent;
use pulse_telemetry::opentelemetry::trace::SpanKind;

use crate::fixture::{World, eventually};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const RECEIVE: &str = "receive pending_alerts";
const PROCESS: &str = "process pending_alerts";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_from_their_events_span_in_its_trace() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    for _ in 0..2 {
        let sink = world.webhook(&tenant).await;
        world.route(&tenant, sink, |_| {}).await;
    }
    let alert = world.alert(&tenant, "d1");
    world.open_by(vec![alert.clone()], Cause { origin_at: None, trace: Some(TraceParent::parse(TRACE).unwrap()) }).await;
    let dispatcher = world.traced().await;
    world.drained().await;
    let process = dispatcher.spans(PROCESS, 1).await.remove(0);
    assert!(process.is_child_of(TRACE) && process.kind == SpanKind::Consumer && process.error.is_none(), "{process:?}");
    let jobs = world.jobs(&tenant).await;
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|job| job.trace.as_ref().unwrap().as_str() == process.traceparent));
    let (event_id, alert_id) = (jobs[0].event_id.to_string(), alert.alert_id.to_string());
    for (name, value) in [
        ("messaging.destination.name", "pending_alerts"),
        ("messaging.message.id", event_id.as_str()),
        ("pulse.tenant.id", "t1"),
        ("pulse.alert.id", alert_id.as_str()),
        ("pulse.event.kind", "OPEN"),
        ("pulse.dispatch.jobs", "2"),
    ] {
        assert_eq!(process.attribute(name), Some(value), "{name}");
    }
    let receive = dispatcher.spans(RECEIVE, 1).await.remove(0);
    assert_eq!(process.link_to(&receive.traceparent).unwrap().attributes["pulse.link"], "batch");
    assert!(receive.link_to(TRACE).is_some() && receive.parent_id.is_none() && receive.kind == SpanKind::Client, "{receive:?}");
    assert_eq!(receive.attribute("messaging.batch.message_count"), Some("1"));
    for operation in ["claim_events", "commit_dispatch"] {
        let call = dispatcher.spans(operation, 1).await.remove(0);
        assert!(call.is_child_of(&receive.traceparent) && call.attribute("db.operation.name") == Some(operation), "{call:?}");
    }
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_trace_goes_on_in_its_batchs() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let sink = world.webhook(&tenant).await;
    world.route(&tenant, sink, |_| {}).await;
    world.open(vec![world.alert(&tenant, "d1")]).await;
    let dispatcher = world.traced().await;
    world.drained().await;
    let receive = dispatcher.spans(RECEIVE, 1).await.remove(0);
    let process = dispatcher.spans(PROCESS, 1).await.remove(0);
    assert!(process.is_child_of(&receive.traceparent) && process.links.is_empty(), "{process:?}");
    assert_eq!(world.jobs(&tenant).await[0].trace.as_ref().unwrap().as_str(), process.traceparent);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_spans_the_trace_goes_on_all_the_same() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let sink = world.webhook(&tenant).await;
    world.route(&tenant, sink, |_| {}).await;
    world.open_by(vec![world.alert(&tenant, "d1")], Cause { origin_at: None, trace: Some(TraceParent::parse(TRACE).unwrap()) }).await;
    let dispatcher = world.dispatcher().await;
    world.drained().await;
    let trace = world.jobs(&tenant).await[0].trace.clone().unwrap();
    assert_eq!((&trace.as_str()[..35], &trace.as_str()[52..]), (&TRACE[..35], "-01"));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_find_nothing_are_no_spans() {
    let world = World::new().await;
    let dispatcher = world.traced().await;
    eventually("it has polled", async || dispatcher.steps("success") >= 3.0).await;
    assert_eq!(dispatcher.telemetry.spans(), []);
    dispatcher.stop().await;
}
