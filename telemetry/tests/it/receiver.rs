//! A collector, both over gRPC and HTTP, that keeps what it is given; and one that never answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::serve::Listener;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{MetricsService, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tonic::codec::CompressionEncoding;

/// How long anything may take to arrive.
const WITHIN: Duration = Duration::from_secs(20);

/// One push of metrics as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) headers: HeaderMap,
    pub(crate) request: ExportMetricsServiceRequest,
}

#[derive(Debug, Clone, Default)]
struct Arrivals {
    pushes: Arc<Mutex<Vec<Push>>>,
    spans: Arc<Mutex<Vec<Span>>>,
    records: Arc<Mutex<Vec<LogRecord>>>,
    arrived: Arc<Notify>,
}

/// Stops when dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    protocol: &'static str,
    arrivals: Arrivals,
    server: AbortHandle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    pub(crate) async fn grpc() -> Self {
        Self::serve("grpc", listen().await.0)
    }

    pub(crate) async fn http() -> Self {
        Self::serve("http/protobuf", listen().await.0)
    }

    pub(crate) async fn http_at(address: SocketAddr) -> Self {
        Self::serve("http/protobuf", TcpListener::bind(address).await.unwrap())
    }

    /// Takes both protocols; `protocol` is the one that [`env`](Self::env) names.
    pub(crate) fn serve(protocol: &'static str, listener: impl Listener<Addr = SocketAddr>) -> Self {
        let arrivals = Arrivals::default();
        let grpc = MetricsServiceServer::new(arrivals.clone()).accept_compressed(CompressionEncoding::Gzip);
        let spans = TraceServiceServer::new(arrivals.clone()).accept_compressed(CompressionEncoding::Gzip);
        let records = LogsServiceServer::new(arrivals.clone()).accept_compressed(CompressionEncoding::Gzip);
        let http = axum::Router::new()
            .route("/v1/metrics", post(take_metrics))
            .route("/v1/traces", post(take_spans))
            .route("/v1/logs", post(take_records))
            .with_state(arrivals.clone());
        let routes = tonic::service::Routes::new(grpc).add_service(spans).add_service(records).into_axum_router().merge(http);
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }).abort_handle();
        Self { address, protocol, arrivals, server }
    }

    /// The variables that point a service here.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        env_for(self.protocol, self.address)
    }

    pub(crate) fn pushes(&self) -> Vec<Push> {
        self.arrivals.pushes.lock().unwrap().clone()
    }

    /// The first push from now on, or already here, that is as wanted.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&Push) -> bool) -> Push {
        self.wait(|| self.pushes().into_iter().find(&wanted)).await
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.arrivals.spans.lock().unwrap().clone()
    }

    pub(crate) fn records(&self) -> Vec<LogRecord> {
        self.arrivals.records.lock().unwrap().clone()
    }

    /// What `look` finds, at once or with something that arrives.
    pub(crate) async fn wait<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let search = async {
            loop {
                let arrived = self.arrivals.arrived.notified();
                if let Some(found) = look() {
                    return found;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(WITHIN, search).await.expect("it did not arrive in time")
    }
}

pub(crate) fn env_for(protocol: &'static str, address: SocketAddr) -> Vec<(&'static str, String)> {
    vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned())]
}

/// A collector that accepts and never answers, for as long as the listener lives.
pub(crate) async fn black_hole() -> (SocketAddr, BlackHole) {
    let (listener, address) = listen().await;
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    (address, BlackHole(task.abort_handle()))
}

pub(crate) struct BlackHole(AbortHandle);

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An address where nobody listens.
pub(crate) async fn refused() -> SocketAddr {
    listen().await.1
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

impl Arrivals {
    fn keep_metrics(&self, headers: HeaderMap, request: ExportMetricsServiceRequest) -> ExportMetricsServiceResponse {
        self.pushes.lock().unwrap().push(Push { headers, request });
        self.arrived.notify_waiters();
        ExportMetricsServiceResponse::default()
    }

    fn keep_spans(&self, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse {
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        self.arrived.notify_waiters();
        ExportTraceServiceResponse::default()
    }

    fn keep_records(&self, request: ExportLogsServiceRequest) -> ExportLogsServiceResponse {
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        self.records.lock().unwrap().extend(scopes.flat_map(|scope| scope.log_records));
        self.arrived.notify_waiters();
        ExportLogsServiceResponse::default()
    }
}

type Answer<T> = Result<tonic::Response<T>, tonic::Status>;

#[tonic::async_trait]
impl MetricsService for Arrivals {
    async fn export(&self, request: tonic::Request<ExportMetricsServiceRequest>) -> Answer<ExportMetricsServiceResponse> {
        let headers = request.metadata().clone().into_headers();
        Ok(tonic::Response::new(self.keep_metrics(headers, request.into_inner())))
    }
}

#[tonic::async_trait]
impl TraceService for Arrivals {
    async fn export(&self, request: tonic::Request<ExportTraceServiceRequest>) -> Answer<ExportTraceServiceResponse> {
        Ok(tonic::Response::new(self.keep_spans(request.into_inner())))
    }
}

#[tonic::async_trait]
impl LogsService for Arrivals {
    async fn export(&self, request: tonic::Request<ExportLogsServiceRequest>) -> Answer<ExportLogsServiceResponse> {
        Ok(tonic::Response::new(self.keep_records(request.into_inner())))
    }
}

async fn take_metrics(State(arrivals): State<Arrivals>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    arrivals.keep_metrics(headers, ExportMetricsServiceRequest::decode(body).unwrap()).encode_to_vec()
}

async fn take_spans(State(arrivals): State<Arrivals>, body: Bytes) -> Vec<u8> {
    arrivals.keep_spans(ExportTraceServiceRequest::decode(body).unwrap()).encode_to_vec()
}

async fn take_records(State(arrivals): State<Arrivals>, body: Bytes) -> Vec<u8> {
    arrivals.keep_records(ExportLogsServiceRequest::decode(body).unwrap()).encode_to_vec()
}
