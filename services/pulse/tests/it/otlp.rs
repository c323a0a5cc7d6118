//! The same names and labels arrive over OTLP as /metrics shows, for all five services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{MetricsService, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use tonic::{Request, Response, Status};

use crate::api::client;
use crate::process::{SERVICES, Up, free_ports};

/// `name{label="value",…}`, labels sorted.
type Series = BTreeSet<String>;

/// The latest export of each service.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<BTreeMap<String, Series>>>);

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(&self, request: Request<ExportMetricsServiceRequest>) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for resource in request.into_inner().resource_metrics {
            let attributes = labels(&resource.resource.unwrap_or_default().attributes);
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            let series =
                metrics.flat_map(|metric| points(metric.data).into_iter().map(move |labels| render(&metric.name, &labels))).collect();
            self.0.lock().unwrap().insert(service, series);
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn points(data: Option<Data>) -> Vec<BTreeMap<String, String>> {
    match data {
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(|point| labels(&point.attributes)).collect(),
        Some(Data::Sum(sum)) => sum.data_points.iter().map(|point| labels(&point.attributes)).collect(),
        Some(Data::Histogram(histogram)) => histogram.data_points.iter().map(|point| labels(&point.attributes)).collect(),
        _ => Vec::new(),
    }
}

fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn render(name: &str, labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

/// The series of a scrape; a histogram is one series.
fn scraped(text: &str) -> Series {
    let histograms: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram")).collect();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (series, _value) = line.rsplit_once(' ')?;
            let (name, own) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
            let of = |suffix: &str| name.strip_suffix(suffix).filter(|name| histograms.contains(name));
            if of("_bucket").or(of("_sum")).is_some() {
                return None;
            }
            let mut labels: Vec<&str> = own.split(',').filter(|label| !label.is_empty()).collect();
            labels.sort_unstable();
            Some(format!("{}{{{}}}", of("_count").unwrap_or(name), labels.join(",")))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_carries_what_metrics_shows() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let receiver = Receiver::default();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder().add_service(MetricsServiceServer::new(receiver.clone())).serve_with_incoming(incoming);
    let server = tokio::spawn(server);
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        // This receiver takes metrics only.
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let up = Up::start(folder.path(), free_ports(), &[], &environment).await;
    for (index, service) in (0u16..).zip(SERVICES) {
        let started = Instant::now();
        loop {
            let text = client().get(format!("{}/metrics", up.url(index))).send().await.unwrap().text().await.unwrap();
            let (shown, pushed) = (scraped(&text), receiver.0.lock().unwrap().get(service).cloned().unwrap_or_default());
            if shown == pushed && !shown.is_empty() {
                break;
            }
            let (absent, extra) = (shown.difference(&pushed).collect::<Vec<_>>(), pushed.difference(&shown).collect::<Vec<_>>());
            assert!(started.elapsed() < Duration::from_secs(15), "{service}: not pushed {absent:?}, pushed but not shown {extra:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    up.terminate();
    server.abort();
}
