//! A collector, both over gRPC and HTTP, that keeps what it is given; and one that never answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::serve::Listener;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{MetricsService, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tonic::codec::CompressionEncoding;

/// How long anything may take to arrive.
const WITHIN: Duration = Duration::from_secs(20);

/// One push as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) headers: HeaderMap,
    pub(crate) request: ExportMetricsServiceRequest,
}

#[derive(Debug, Clone, Default)]
struct Arrivals {
    pushes: Arc<Mutex<Vec<Push>>>,
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
        let http = axum::Router::new().route("/v1/metrics", axum::routing::post(take)).with_state(arrivals.clone());
        let routes = tonic::service::Routes::new(grpc).into_axum_router().merge(http);
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
        let search = async {
            loop {
                let arrived = self.arrivals.arrived.notified();
                if let Some(push) = self.pushes().into_iter().find(&wanted) {
                    return push;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(WITHIN, search).await.expect("no such push arrived in time")
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
    fn keep(&self, headers: HeaderMap, request: ExportMetricsServiceRequest) {
        self.pushes.lock().unwrap().push(Push { headers, request });
        self.arrived.notify_waiters();
    }
}

#[tonic::async_trait]
impl MetricsService for Arrivals {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        self.keep(headers, request.into_inner());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

async fn take(State(arrivals): State<Arrivals>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    arrivals.keep(headers, request);
    ExportMetricsServiceResponse::default().encode_to_vec()
}
