//! Which spans are pushed: the head decides, and failures are kept where that is asked for.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use pulse_telemetry::Telemetry;

use crate::receiver::Receiver;

const WITHIN: Duration = Duration::from_secs(10);
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn telemetry(receiver: &Receiver, sampler: &[(&'static str, &'static str)], keep_errors: bool) -> Telemetry {
    let mut variables = receiver.env();
    variables.extend(sampler.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let lookup = move |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let builder = Telemetry::builder("worker").env(lookup);
    if keep_errors { builder.keep_errors() } else { builder }.init().unwrap()
}

/// A root, a child of a sampled caller, a child of one that is not sampled, and one of those that fails.
async fn names_pushed(sampler: &[(&'static str, &'static str)], keep_errors: bool) -> Vec<String> {
    let receiver = Receiver::http().await;
    let telemetry = telemetry(&receiver, sampler, keep_errors);
    let tracer = telemetry.tracer();
    tracer.span("root").root().start().end();
    tracer.span("sampled").child_of(SAMPLED).start().end();
    tracer.span("not sampled").child_of(NOT_SAMPLED).start().end();
    let failed = tracer.span("failed").child_of(NOT_SAMPLED).start();
    failed.fail("timeout", "no answer");
    failed.end();
    telemetry.flush(WITHIN).await.unwrap();
    let mut spans = receiver.spans();
    assert!(spans.iter().all(|span: &Span| span.flags & 1 == 1), "what is pushed says that it is sampled: {spans:?}");
    spans.sort_by_key(|span| span.start_time_unix_nano);
    spans.into_iter().map(|span| span.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_decides() {
    for (sampler, keep_errors, pushed) in [
        (&[][..], false, &["root", "sampled"][..]),
        (&[], true, &["root", "sampled", "failed"]),
        (&[("OTEL_TRACES_SAMPLER", "always_on")], false, &["root", "sampled", "not sampled", "failed"]),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], false, &[]),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], true, &["failed"]),
        (&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")], false, &["sampled"]),
        (&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")], true, &["sampled", "failed"]),
        (
            &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1")],
            false,
            &["root", "sampled", "not sampled", "failed"],
        ),
    ] {
        assert_eq!(names_pushed(sampler, keep_errors).await, pushed, "{sampler:?} {keep_errors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_of_traces_is_about_that_share() {
    let receiver = Receiver::grpc().await;
    let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
    let telemetry = telemetry(&receiver, &ratio, false);
    for _ in 0..2_000 {
        telemetry.tracer().span("root").root().start().end();
    }
    telemetry.flush(WITHIN).await.unwrap();
    let pushed = receiver.spans().len();
    // Four standard deviations are 77.
    assert!((400..=600).contains(&pushed), "{pushed} of 2,000 at a quarter");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn propagators_can_be_turned_off() {
    for (propagators, on) in [("tracecontext", true), ("none", false)] {
        let receiver = Receiver::http().await;
        let tracer = telemetry(&receiver, &[("OTEL_PROPAGATORS", propagators)], false).tracer();
        let mut headers = http::HeaderMap::new();
        headers.insert("traceparent", http::HeaderValue::from_static(SAMPLED));
        assert_eq!(tracer.extract(&headers).as_deref(), on.then_some(SAMPLED), "{propagators}");
        let mut sent = http::HeaderMap::new();
        tracer.inject(&tracer.span("POST").start(), &mut sent);
        assert_eq!(sent.contains_key("traceparent"), on, "{propagators}");
    }
}
