//! Log records over OTLP: each at the service in whose scope it was logged, with the ids of its span.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use pulse_telemetry::{BurstLayer, LogLayer, Telemetry};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::receiver::Receiver;
use crate::telemetry_with;

const WITHIN: Duration = Duration::from_secs(10);

fn subscriber() -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::registry().with(BurstLayer::new()).with(LogLayer::new())
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn body(record: &LogRecord) -> String {
    text(record.body.as_ref().and_then(|body| body.value.as_ref()))
}

fn attribute(record: &LogRecord, name: &str) -> Option<String> {
    let attribute = record.attributes.iter().find(|attribute| attribute.key == name)?;
    Some(text(attribute.value.as_ref()?.value.as_ref()))
}

fn service(name: &'static str, receiver: &Receiver) -> Telemetry {
    telemetry_with(name, receiver.env())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_go_to_their_own_service_with_the_ids_of_their_span() {
    for receivers in [[Receiver::grpc().await, Receiver::grpc().await], [Receiver::http().await, Receiver::http().await]] {
        let [first, second] = [service("first", &receivers[0]), service("second", &receivers[1])];
        let span = first.tracer().span("work").start();
        let work = async {
            first.scope(async { tracing::info!(job = 7, "before the span") }).await;
            first.scope(span.in_scope(async { tracing::error!(kind = "timeout", "within the span") })).await;
            second.scope(async { tracing::warn!("elsewhere") }).await;
            tracing::warn!("of no service");
        };
        work.with_subscriber(subscriber()).await;
        first.flush(WITHIN).await.unwrap();
        second.flush(WITHIN).await.unwrap();
        let records = receivers[0].records();
        assert_eq!(records.iter().map(body).collect::<Vec<_>>(), ["before the span", "within the span"]);
        assert_eq!((records[0].severity_text.as_str(), records[1].severity_text.as_str()), ("INFO", "ERROR"));
        assert_eq!(attribute(&records[1], "kind").as_deref(), Some("timeout"));
        assert!(records[0].trace_id.is_empty(), "no span, no ids");
        let ids = format!("00-{}-{}-01", hex(&records[1].trace_id), hex(&records[1].span_id));
        assert_eq!(ids, span.traceparent());
        assert_eq!(receivers[1].records().iter().map(body).collect::<Vec<_>>(), ["elsewhere"]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_held_back_and_counted() {
    let receiver = Receiver::http().await;
    let telemetry = service("worker", &receiver);
    let burst = async {
        for job in 0..1_000 {
            tracing::error!(job, "the same again");
        }
        for job in 0..5 {
            tracing::error!(job, "another place");
        }
    };
    telemetry.scope(burst).with_subscriber(subscriber()).await;
    telemetry.flush(WITHIN).await.unwrap();
    let count = |wanted: &str| receiver.records().iter().filter(|record| body(record) == wanted).count();
    let passed = count("the same again");
    assert!((1..=50).contains(&passed), "{passed} passed");
    assert_eq!(count("another place"), 5, "a place is held back for itself");
    let held_back = telemetry.value("pulse_telemetry_logs_suppressed_total", &[]).unwrap();
    assert_eq!(held_back, f64::from(u32::try_from(1_000 - passed).unwrap()));
}

/// What is said about pushing is never pushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exporting_never_feeds_itself() {
    let receiver = Receiver::http().await;
    let telemetry = service("worker", &receiver);
    let said = async {
        tracing::error!(target: "opentelemetry_sdk", "BatchLogProcessor.ExportError");
        tracing::error!(target: "opentelemetry-otlp", "HttpLogsClient.ExportFailed");
        tracing::error!("something else");
    };
    telemetry.scope(said).with_subscriber(subscriber()).await;
    telemetry.flush(WITHIN).await.unwrap();
    assert_eq!(receiver.records().iter().map(body).collect::<Vec<_>>(), ["something else"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_dropped_and_counted() {
    let (address, _hole) = crate::receiver::black_hole().await;
    let mut env = crate::receiver::env_for("http/protobuf", address);
    env.extend([("OTEL_BLRP_MAX_QUEUE_SIZE", "10".to_owned()), ("OTEL_BSP_MAX_QUEUE_SIZE", "10".to_owned())]);
    let telemetry = telemetry_with("worker", env);
    let tracer = telemetry.tracer();
    let many = async {
        for _ in 0..200 {
            tracing::debug!("to be pushed");
            tracer.span("work").start().end();
        }
    };
    telemetry.scope(many).with_subscriber(subscriber()).await;
    for signal in ["traces", "logs"] {
        let dropped = telemetry.value("pulse_telemetry_items_dropped_total", &[("signal", signal), ("reason", "queue_full")]).unwrap();
        // Ten wait, and a push of up to ten may be under way.
        assert!((180.0..=190.0).contains(&dropped), "{signal}: {dropped}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_push_loses_is_counted() {
    let mut env = crate::receiver::env_for("http/protobuf", crate::receiver::refused().await);
    env.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "200".to_owned()));
    let telemetry = telemetry_with("worker", env);
    let tracer = telemetry.tracer();
    let some = async {
        for _ in 0..3 {
            tracing::info!("to be lost");
            tracer.span("work").start().end();
        }
    };
    telemetry.scope(some).with_subscriber(subscriber()).await;
    telemetry.flush(WITHIN).await.unwrap_err();
    for signal in ["traces", "logs"] {
        let value = |name: &str, labels: &[(&str, &str)]| telemetry.value(name, &[&[("signal", signal)], labels].concat());
        assert_eq!(value("pulse_telemetry_items_dropped_total", &[("reason", "export")]), Some(3.0), "{signal}");
        assert_eq!(value("pulse_telemetry_exports_total", &[("outcome", "error")]), Some(1.0), "{signal}");
        assert_eq!(value("pulse_telemetry_last_export_timestamp_seconds", &[]), Some(0.0), "{signal}");
    }
}
