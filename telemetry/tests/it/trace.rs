//! Spans carry a trace on whether or not anything is exported.

use pulse_telemetry::propagation;

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
