//! What recording and scraping cost.
#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use pulse_telemetry::opentelemetry::KeyValue;
use pulse_telemetry::opentelemetry::trace::SpanKind;
use pulse_telemetry::{Definition, Span, Telemetry, Tracer, propagation};
use std::hint::black_box;
use std::net::TcpListener;

static EVENTS: Definition = Definition::counter("pulse_events_total", "{event}", "Events.", &["service", "lane"]);
static TENANT_EVENTS: Definition =
    Definition::counter("pulse_tenant_events_total", "{event}", "Events of tenants.", &["service", "tenant_id"]);
static TIMES: Definition = Definition::histogram(
    "pulse_times_seconds",
    "s",
    "Times.",
    &["service", "lane"],
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
);

/// Label sets of a scrape: each a counter and a histogram of eleven bounds, 15 lines.
const LABEL_SETS: u64 = 1_000;
/// More than the budget has places for.
const TENANTS: u64 = 10_000;

/// With one reader, and with OTLP on as well (to a listener that never answers, once an hour).
fn telemetries() -> [(&'static str, Telemetry, TcpListener); 2] {
    ["one_reader", "two_readers"].map(|name| {
        let collector = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let endpoint = collector.local_addr().map(|address| format!("http://{address}")).expect("an address");
        let lookup = move |variable: &str| match variable {
            "OTEL_EXPORTER_OTLP_ENDPOINT" if name == "two_readers" => Some(endpoint.clone()),
            "OTEL_METRIC_EXPORT_INTERVAL" => Some("3600000".to_owned()),
            _ => None,
        };
        (name, Telemetry::builder("bench").env(lookup).init().expect("valid"), collector)
    })
}

fn record(c: &mut Criterion) {
    for (name, telemetry, _collector) in telemetries() {
        let mut group = c.benchmark_group(name);
        let events = telemetry.counter(&EVENTS);
        let bound = events.bind(&[("lane", "left")]);
        group.bench_function("counter_bound", |b| b.iter(|| bound.add(black_box(1))));
        group.bench_function("counter_by_labels", |b| b.iter(|| events.add(black_box(1), &[("lane", "left")])));
        let times = telemetry.histogram(&TIMES).bind(&[("lane", "left")]);
        group.bench_function("histogram_bound", |b| b.iter(|| times.record(black_box(0.3))));
        let operation = telemetry.operation("cycle");
        group.bench_function("operation_run_ready", |b| {
            b.iter(|| futures::FutureExt::now_or_never(operation.run(std::future::ready(Ok::<_, ()>(black_box(1))))));
        });
        record_tenants(&mut group, &telemetry);
        group.finish();
    }
}

/// Of a tenant that has series of its own, and of one past the budget.
fn record_tenants(group: &mut BenchmarkGroup<'_, WallTime>, telemetry: &Telemetry) {
    let events = telemetry.counter(&TENANT_EVENTS);
    for tenant in 0..TENANTS {
        events.add(1, &[("tenant_id", &format!("tenant-{tenant}"))]);
    }
    for (name, tenant) in [("tenant", "tenant-0"), ("tenant_past_the_budget", "tenant-9999")] {
        let bound = events.bind(&[("tenant_id", tenant)]);
        group.bench_function(format!("counter_bound_{name}"), |b| b.iter(|| bound.add(black_box(1))));
        group.bench_function(format!("counter_by_labels_{name}"), |b| b.iter(|| events.add(black_box(1), &[("tenant_id", tenant)])));
    }
}

fn scrape(c: &mut Criterion) {
    let mut group = c.benchmark_group("scrape");
    group.throughput(Throughput::Elements(LABEL_SETS)).sample_size(30);
    for (name, telemetry, _collector) in telemetries() {
        for lane in 0..LABEL_SETS {
            let labels = &[("lane", &*format!("lane-{lane}"))];
            telemetry.counter(&EVENTS).add(lane, labels);
            telemetry.histogram(&TIMES).record(0.3, labels);
        }
        group.bench_function(BenchmarkId::new("label_sets_1000", name), |b| b.iter(|| telemetry.render().map(|text| text.len())));
    }
    for (name, telemetry, _collector) in telemetries() {
        let handles: Vec<_> =
            (0..TENANTS).map(|tenant| telemetry.counter(&TENANT_EVENTS).bind(&[("tenant_id", &format!("tenant-{tenant}"))])).collect();
        handles.iter().for_each(|handle| handle.add(1));
        group.bench_function(BenchmarkId::new("tenants_10000", name), |b| b.iter(|| telemetry.render().map(|text| text.len())));
    }
    group.finish();
}

/// What tracing a request costs beside the reading of its `traceparent`: a span in the caller's trace, work in its scope, its context as text.
fn spans(c: &mut Criterion) {
    let mut group = c.benchmark_group("span");
    let headers = |flags: &str| {
        let traceparent = format!("{}{flags}", &propagation::new_root()[..53]);
        HeaderMap::from_iter([(HeaderName::from_static("traceparent"), HeaderValue::try_from(traceparent).expect("text"))])
    };
    let (sampled, unsampled) = (headers("01"), headers("00"));
    group.bench_function("traceparent_alone", |b| b.iter(|| propagation::extract(black_box(&sampled))));
    let request = |tracer: &Tracer, headers: &HeaderMap| {
        let span = tracer.span("POST /things").kind(SpanKind::Server).continuing(headers);
        let span = span.attributes([KeyValue::new("http.request.method", "POST"), KeyValue::new("url.scheme", "http")]).start();
        futures::FutureExt::now_or_never(span.in_scope(async { Span::current().map(|span| span.traceparent()) }))
    };
    for (name, telemetry, _collector) in telemetries() {
        let tracer = telemetry.tracer();
        let work = |headers: &HeaderMap| futures::FutureExt::now_or_never(telemetry.scope(async { request(&tracer, headers) }));
        if name == "one_reader" {
            group.bench_function("off", |b| b.iter(|| work(black_box(&sampled))));
        } else {
            group.bench_function("not_sampled", |b| b.iter(|| work(black_box(&unsampled))));
            group.bench_function("sampled_and_dropped_at_a_full_queue", |b| b.iter(|| work(black_box(&sampled))));
        }
    }
    group.finish();
}

criterion_group!(benches, record, scrape, spans);
criterion_main!(benches);
