//! Where the collector sends traces (gRPC) and logs (HTTP): it keeps what comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tokio::task::AbortHandle;
use tonic::codec::CompressionEncoding;
use tower_http::decompression::RequestDecompressionLayer;

/// A span, in words.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    /// Empty: a root.
    pub(crate) parent_id: String,
    /// Trace and span ids.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A log record, in words.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) service: String,
    pub(crate) body: String,
    pub(crate) trace_id: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Span>>>,
    records: Arc<Mutex<Vec<Record>>>,
}

/// A running backend; stops when dropped.
pub(crate) struct Backend {
    pub(crate) port: u16,
    kept: Kept,
    server: AbortHandle,
}

impl Backend {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, kept) = (listener.local_addr().unwrap().port(), Kept::default());
        let traces = TraceServiceServer::new(kept.clone()).accept_compressed(CompressionEncoding::Gzip);
        let logs = axum::Router::new().route("/v1/logs", post(take_logs)).with_state(kept.clone()).layer(RequestDecompressionLayer::new());
        let routes = tonic::service::Routes::new(traces).into_axum_router().merge(logs);
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }).abort_handle();
        Self { port, kept, server }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().unwrap().clone()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.kept.records.lock().unwrap().clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for resource in request.into_inner().resource_spans {
            let service = service(resource.resource);
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(spans.map(|span| Span {
                service: service.clone(),
                name: span.name,
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                attributes: attributes(&span.attributes),
            }));
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn take_logs(State(kept): State<Kept>, body: Bytes) -> Vec<u8> {
    for resource in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
        let service = service(resource.resource);
        let records = resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
        kept.records.lock().unwrap().extend(records.map(|record| Record {
            service: service.clone(),
            body: record.body.and_then(|body| body.value).map(|value| text(&value)).unwrap_or_default(),
            trace_id: hex(&record.trace_id),
            attributes: attributes(&record.attributes),
        }));
    }
    ExportLogsServiceResponse::default().encode_to_vec()
}

fn service(resource: Option<Resource>) -> String {
    attributes(&resource.unwrap_or_default().attributes).remove("service.name").unwrap_or_default()
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |attribute: &KeyValue| attribute.value.as_ref().and_then(|value| value.value.as_ref()).map(text).unwrap_or_default();
    attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(yes) => yes.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
