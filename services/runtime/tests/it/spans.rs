//! Calls to the store as spans, and only where somebody looks.

use pulse_domain::trace::TraceParent;
use pulse_runtime::Deps;
use pulse_runtime::spans::{current_trace, trace_of};
use pulse_store::Error;
use pulse_telemetry::Telemetry;
use pulse_telemetry::testing::KeptSpan;

async fn traced() -> (Deps, tempfile::TempDir) {
    crate::deps_as(Telemetry::builder("evaluator").env(|_| None).keep_spans().init().unwrap()).await
}

fn of(deps: &Deps, name: &str) -> Vec<KeptSpan> {
    deps.telemetry.spans().into_iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_call_is_a_span_below_one_that_is_recorded() {
    let (deps, _folder) = traced().await;
    deps.spans.query("ping", 1, deps.store.ping()).await.unwrap();
    assert_eq!(deps.telemetry.spans(), [], "nobody asked");
    let outer = deps.spans.tracer().span("outer").start();
    let calls = async {
        deps.spans.query("one", 1, deps.store.ping()).await.unwrap();
        deps.spans.query("many", 3, deps.store.ping()).await.unwrap();
        let failing = async { Err::<(), _>(Error::Missing { what: "the thing" }) };
        assert!(deps.spans.query("failing", 1, failing).await.is_err());
    };
    outer.in_scope(calls).await;
    let [one, many, failing] = ["one", "many", "failing"].map(|name| of(&deps, name).remove(0));
    assert!([&one, &many, &failing].iter().all(|call| call.is_child_of(&outer.traceparent())));
    assert_eq!((one.attribute("db.system.name"), one.attribute("db.operation.batch.size")), (Some("sqlite"), None));
    assert_eq!(many.attribute("db.operation.batch.size"), Some("3"));
    assert_eq!((failing.attribute("error.type"), failing.error.as_deref()), (Some("missing"), Some("the thing does not exist")));
    let unsampled = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap();
    let unseen = deps.spans.tracer().span("unseen").child_of(unsampled.as_str()).start();
    unseen.in_scope(deps.spans.query("below", 1, deps.store.ping())).await.unwrap();
    assert_eq!(of(&deps, "below"), []);
}

#[tokio::test]
async fn what_is_stored_is_the_span_in_scope() {
    let (deps, _folder) = traced().await;
    assert_eq!(current_trace(), None);
    let span = deps.spans.tracer().span("request").start();
    assert_eq!(span.in_scope(async { current_trace() }).await, trace_of(&span));
    assert_eq!(trace_of(&span).unwrap().as_str(), span.traceparent());
}

#[tokio::test]
async fn a_claim_that_finds_nothing_leaves_nothing() {
    let (deps, _folder) = traced().await;
    let claim = deps.spans.claim("jobs", "claim");
    claim.run(deps.store.ping()).await.unwrap();
    assert_eq!(deps.telemetry.spans(), []);
    let claim = deps.spans.claim("jobs", "claim");
    claim.run(deps.store.ping()).await.unwrap();
    let batch = claim.received(2, []);
    let message = deps.spans.process("jobs", None, &batch).start();
    drop((message, batch));
    let names: Vec<_> = deps.telemetry.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["claim", "process jobs", "receive jobs"]);
}
