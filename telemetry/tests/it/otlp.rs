//! What a collector receives, over gRPC and HTTP: the same as `/metrics` shows.

use std::process::Command;
use std::time::Duration;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use pulse_telemetry::{Definition, InitError, PoolProbe, QueueSample, Telemetry};

use crate::receiver::{Receiver, refused};
use crate::series::{metrics, pushed, resource, shown, steady};
use crate::telemetry_with;

static INGESTED: Definition =
    Definition::counter("pulse_ingest_messages_total", "{message}", "Messages by result.", &["tenant_id", "result"]);
static ACTIVE: Definition = Definition::gauge("pulse_fleet_active_alerts", "{alert}", "Open alerts.", &["tenant_id"]);
static LEVEL: Definition = Definition::gauge("pulse_ingest_queue_depth", "{item}", "Items.", &[]);
static LATENCY: Definition =
    Definition::histogram("pulse_alert_latency_seconds", "s", "From reading to receipt.", &["service", "channel"], &[0.1, 1.0, 10.0]);

const WITHIN: Duration = Duration::from_secs(10);

async fn exercise(telemetry: &Telemetry) -> pulse_telemetry::QueueProbe {
    telemetry.observe_pool(PoolProbe::new(|| 10, || 8, || 10));
    let ingested = telemetry.counter(&INGESTED);
    ingested.add(3, &[("tenant_id", "acme"), ("result", "accepted")]);
    ingested.bind(&[("result", "rate \"limited\""), ("tenant_id", "b\\c\nd é")]);
    telemetry.gauge(&LEVEL).set(-2.5, &[]);
    telemetry.snapshot(&ACTIVE).replace(vec![(vec!["acme".to_owned()], 2.0), (vec!["zen".to_owned()], 0.0)]);
    for value in [0.05, 0.1, 0.5, 99.0] {
        telemetry.histogram(&LATENCY).record(value, &[("channel", "webhook")]);
    }
    let attempt = telemetry.operation("delivery_attempt");
    attempt.run(async { Ok::<_, ()>(()) }).await.unwrap();
    drop(attempt.start());
    let probe = telemetry.queue("pending_jobs", Duration::from_secs(3_600), || async {
        Ok::<_, String>(QueueSample { depth: 4, oldest_age: Duration::from_millis(1_500) })
    });
    while telemetry.value("pulse_queue_depth", &[("queue_name", "pending_jobs")]) != Some(4.0) {
        tokio::task::yield_now().await;
    }
    probe
}

async fn carries_what_metrics_shows(receiver: Receiver) {
    let telemetry = telemetry_with("ui_api", receiver.env());
    let _probe = exercise(&telemetry).await;
    // The first push is counted after it has left, so from the second on there is a count to compare.
    telemetry.flush(WITHIN).await.unwrap();
    let shown = shown(&telemetry.render().unwrap());
    telemetry.flush(WITHIN).await.unwrap();
    let push = receiver.pushes().pop().unwrap();
    assert_eq!(pushed(&push).keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>());
    assert_eq!(steady(pushed(&push)), steady(shown.clone()));
    assert_eq!(shown["pulse_db_pool_size{service=\"ui_api\"}"], 10.0);
    assert_eq!(shown["pulse_db_pool_free{service=\"ui_api\"}"], 8.0);
    assert_eq!(shown["pulse_telemetry_exports_total{outcome=\"success\",service=\"ui_api\",signal=\"metrics\"}"], 1.0);
    assert_eq!(shown.keys().filter(|name| name.starts_with("pulse_processing_duration_seconds_bucket")).count(), 12);

    let resource = resource(&push);
    for (key, value) in [("service.name", "ui_api"), ("service.namespace", "pulse"), ("service.version", "1.2.3")] {
        assert_eq!(resource.get(key).map(String::as_str), Some(value));
    }
    assert_eq!(resource["service.instance.id"].len(), 36);
    let pool = metrics(&push).find(|metric| metric.name == "pulse_db_pool_size").unwrap();
    assert_eq!((pool.unit.as_str(), pool.description.is_empty()), ("{connection}", false));
    let latency = metrics(&push).find(|metric| metric.name == "pulse_alert_latency_seconds").unwrap();
    let Some(Data::Histogram(histogram)) = &latency.data else { panic!("{latency:?}") };
    assert_eq!(
        (&histogram.data_points[0].explicit_bounds, &histogram.data_points[0].bucket_counts),
        (&vec![0.1, 1.0, 10.0], &vec![2, 1, 0, 1])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_carries_what_metrics_shows() {
    carries_what_metrics_shows(Receiver::grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_carries_what_metrics_shows() {
    carries_what_metrics_shows(Receiver::http().await).await;
}

/// On a runtime of one thread too, where a blocked thread would stall everything.
#[tokio::test]
async fn one_thread_is_enough() {
    for receiver in [Receiver::grpc().await, Receiver::http().await] {
        let telemetry = telemetry_with("ui_api", receiver.env());
        telemetry.shutdown(WITHIN).await.unwrap();
        assert_eq!(receiver.pushes().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_go_by_the_interval_with_headers_and_gzip() {
    for receiver in [Receiver::grpc().await, Receiver::http().await] {
        let mut env = receiver.env();
        env.push(("OTEL_METRIC_EXPORT_INTERVAL", "20".to_owned()));
        env.push(("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b,authorization=Bearer%20hunter2".to_owned()));
        if env.iter().any(|(_, value)| value == "grpc") {
            env.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()));
        }
        let telemetry = telemetry_with("ui_api", env);
        telemetry.gauge(&LEVEL).set(1.0, &[]);
        let push = receiver.wait_for(|push| pushed(push).get("pulse_ingest_queue_depth") == Some(&1.0)).await;
        assert_eq!(push.headers.get_all("x-tenant").iter().collect::<Vec<_>>(), ["a b"]);
        assert_eq!(push.headers["authorization"], "Bearer hunter2");
        assert!(!format!("{telemetry:?}").contains("hunter2"));
        telemetry.gauge(&LEVEL).set(2.0, &[]);
        receiver.wait_for(|push| pushed(push).get("pulse_ingest_queue_depth") == Some(&2.0)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_comes_later_gets_the_whole() {
    let address = refused().await;
    let env = crate::receiver::env_for("http/protobuf", address);
    let telemetry = telemetry_with("ui_api", [env, vec![("OTEL_EXPORTER_OTLP_TIMEOUT", "300".to_owned())]].concat());
    telemetry.counter(&INGESTED).add(3, &[("tenant_id", "acme"), ("result", "accepted")]);
    assert!(telemetry.flush(WITHIN).await.is_err());
    assert_eq!(telemetry.value("pulse_telemetry_exports_total", &[("signal", "metrics"), ("outcome", "error")]), Some(1.0));
    let receiver = Receiver::http_at(address).await;
    telemetry.flush(WITHIN).await.unwrap();
    let pushed = pushed(&receiver.pushes()[0]);
    assert_eq!(pushed["pulse_ingest_messages_total{result=\"accepted\",tenant_id=\"acme\"}"], 3.0);
    assert_eq!(pushed["pulse_telemetry_exports_total{outcome=\"error\",service=\"ui_api\",signal=\"metrics\"}"], 1.0);
}

#[test]
fn grpc_outside_a_runtime_is_an_error() {
    let init = |protocol: &'static str| {
        let lookup = move |name: &str| match name {
            "OTEL_METRICS_EXPORTER" => Some("otlp".to_owned()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
            _ => None,
        };
        Telemetry::builder("ui_api").env(lookup).init()
    };
    let error = init("grpc").unwrap_err();
    assert!(matches!(error, InitError::NoRuntime) && error.to_string().contains("tokio runtime"), "{error}");
    assert!(init("http/protobuf").is_ok(), "HTTP needs none");
}

#[test]
fn what_is_not_valid_stops_the_start() {
    let init = |variable: &'static str, value: &'static str| {
        Telemetry::builder("ui_api").env(move |name| (name == variable).then(|| value.to_owned())).init()
    };
    let error = init("OTEL_METRICS_EXPORTER", "console").unwrap_err().to_string();
    assert_eq!(error, r#"OTEL_METRICS_EXPORTER is "console", but it has to be a list of otlp, prometheus (always on) and none"#);
    let error = Telemetry::builder("Ui Api").env(|_| None).init().unwrap_err().to_string();
    assert!(error.contains("Ui Api") && error.contains("[a-z]"), "{error}");
    let tls = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("https://localhost:4318".to_owned()),
        "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some("/nowhere/ca.pem".to_owned()),
        _ => None,
    };
    let error = Telemetry::builder("ui_api").env(tls).init().unwrap_err().to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
}

/// Off is off, with no thread and no complaint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_means_nothing_is_pushed() {
    let receiver = Receiver::http().await;
    for off in [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")] {
        let mut env = receiver.env();
        env.push((off.0, off.1.to_owned()));
        let telemetry = telemetry_with("ui_api", env);
        telemetry.flush(WITHIN).await.unwrap();
        assert!(!telemetry.series("pulse_telemetry_exports_total").iter().any(|(labels, _)| labels["signal"] == "metrics"));
        assert_eq!(telemetry.complaints(), [""; 0]);
        telemetry.shutdown(WITHIN).await.unwrap();
    }
    assert!(receiver.pushes().is_empty());
}

/// The real environment, in a process of its own: this test runs itself again with the variables set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_read() {
    const INNER: &str = "otlp::pushes_once_with_the_processes_environment";
    for receiver in [Receiver::grpc().await, Receiver::http().await] {
        let mut inner = Command::new(std::env::current_exe().unwrap());
        inner.args([INNER, "--exact", "--ignored"]).envs(receiver.env());
        inner.env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b").env("OTEL_RESOURCE_ATTRIBUTES", "team=blue,service.name=other");
        let output = tokio::task::spawn_blocking(move || inner.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let push = &receiver.pushes()[0];
        assert_eq!(push.headers.get_all("x-tenant").iter().collect::<Vec<_>>(), ["a b"], "once");
        let resource = resource(push);
        assert_eq!((resource["service.name"].as_str(), resource["team"].as_str()), ("inner", "blue"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the_environment_is_read with the variables set"]
async fn pushes_once_with_the_processes_environment() {
    Telemetry::builder("inner").init().unwrap().shutdown(WITHIN).await.unwrap();
}
