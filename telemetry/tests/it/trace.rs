//! Spans carry a trace on whether or not anything is exported.

use pulse_telemetry::opentelemetry::KeyValue;
use pulse_telemetry::opentelemetry::trace::SpanKind;
use pulse_telemetry::{Telemetry, propagation};

fn keeping() -> Telemetry {
    Telemetry::builder("worker").env(|_| None).keep_spans().init().unwrap()
}

#[tokio::test]
async fn a_tracer_that_is_off_passes_the_trace_on() {
    let tracer = crate::telemetry("worker").tracer();
    let sampled = propagation::new_root();
    let child = tracer.span("work").child_of(&sampled).start();
    assert_eq!(child.traceparent()[..35], sampled[..35], "the same trace");
    assert!(child.traceparent().ends_with("-01"), "the parent's flags: {}", child.traceparent());
    assert_ne!(child.traceparent()[36..52], sampled[36..52], "another span");
    let inner = child.in_scope(async { tracer.span("inner").start().traceparent() }).await;
    assert_eq!(inner[..35], sampled[..35], "a child of what is in scope");
    assert!(inner.ends_with("-01"), "and the flags go on: {inner}");
    let root = child.in_scope(async { tracer.span("other").root().start().traceparent() }).await;
    assert_ne!(root[..35], sampled[..35], "a trace of its own");
    assert!(root.ends_with("-00"), "nothing is recorded: {root}");
}

#[test]
fn kept_spans_say_all_that_was_said_of_them() {
    let telemetry = keeping();
    let (parent, cause) = (propagation::new_root(), propagation::new_root());
    let span = telemetry.tracer().span("process jobs").kind(SpanKind::Consumer).child_of(&parent).link(&cause);
    let span = span.attributes([KeyValue::new("attempt", 2)]).start();
    span.fail("timeout", "no answer within 3s");
    let traceparent = span.traceparent();
    assert_eq!(telemetry.spans(), [], "it has not ended");
    drop(span);
    let [kept] = &telemetry.spans()[..] else { panic!("one span") };
    assert_eq!((kept.name.as_str(), &kept.kind, &kept.traceparent), ("process jobs", &SpanKind::Consumer, &traceparent));
    assert!(kept.is_child_of(&parent) && !kept.is_child_of(&cause));
    assert!(kept.link_to(&cause).is_some() && kept.link_to(&parent).is_none());
    assert_eq!((kept.attribute("attempt"), kept.attribute("error.type")), (Some("2"), Some("timeout")));
    assert_eq!(kept.error.as_deref(), Some("no answer within 3s"));
    assert!(kept.started_at <= kept.ended_at);
}

#[test]
fn what_the_sender_did_not_sample_is_not_kept() {
    let telemetry = keeping();
    let parent = propagation::new_root().replace("-01", "-00");
    let span = telemetry.tracer().span("work").child_of(&parent).start();
    assert_eq!(span.traceparent()[..35], parent[..35]);
    assert!(!span.is_recording() && !span.is_sampled() && span.traceparent().ends_with("-00"));
    drop(span);
    assert_eq!(telemetry.spans(), []);
}

#[tokio::test]
async fn a_batch_names_its_causes_each_once_and_not_too_many() {
    let telemetry = keeping();
    let tracer = telemetry.tracer();
    let (first, second) = (propagation::new_root(), propagation::new_root());
    let unsampled = propagation::new_root().replace("-01", "-00");
    let causes = [&first, &first, &second, &unsampled, &first];
    drop(tracer.span("few").causes(causes.map(String::as_str)).start());
    let many: Vec<String> = (0..100).map(|_| propagation::new_root()).collect();
    drop(tracer.span("many").causes(many.iter().map(String::as_str)).start());
    drop(tracer.span("bad").causes(["", "rubbish"]).start());
    let [few, many_kept, bad] = &telemetry.spans()[..] else { panic!("three spans") };
    assert!(few.links.len() == 2 && few.link_to(&first).is_some() && few.link_to(&second).is_some(), "{:?}", few.links);
    assert_eq!((many_kept.links.len(), bad.links.len()), (64, 0));
    assert!(many_kept.link_to(&many[63]).is_some(), "the first ones");
}

#[tokio::test]
async fn the_span_in_scope_is_at_hand_and_parent_to_what_starts_in_it() {
    let telemetry = keeping();
    let tracer = telemetry.tracer();
    assert!(pulse_telemetry::Span::current().is_none());
    let outer = tracer.span("outer").start();
    let current = outer.in_scope(async { pulse_telemetry::Span::current().unwrap().traceparent() }).await;
    assert_eq!(current, outer.traceparent());
    let inner = outer.in_scope(async { tracer.span("inner").start() }).await;
    let within = tracer.span("within").within(&inner).start();
    drop(within);
    let kept = telemetry.spans().pop().unwrap();
    assert!(kept.is_child_of(&inner.traceparent()));
    drop(inner);
    assert!(telemetry.spans().pop().unwrap().is_child_of(&outer.traceparent()));
}

#[tokio::test]
async fn work_that_fails_or_is_dropped_ends_its_span_in_an_error() {
    let telemetry = keeping();
    let run = |work: std::pin::Pin<Box<dyn Future<Output = Result<u8, &'static str>>>>| {
        let span = telemetry.tracer().span("work").start();
        async move { span.run(work, |error| ("broken", (*error).to_owned())).await }
    };
    assert_eq!(run(Box::pin(async { Ok(1) })).await, Ok(1));
    assert_eq!(run(Box::pin(async { Err("it broke") })).await, Err("it broke"));
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(1), run(Box::pin(std::future::pending()))).await;
    assert!(dropped.is_err());
    let spans = telemetry.spans();
    let ends: Vec<_> = spans.iter().map(|span| (span.attribute("error.type"), span.error.as_deref())).collect();
    assert_eq!(ends, [(None, None), (Some("broken"), Some("it broke")), (Some("cancelled"), Some("dropped before it had ended"))]);
}
