//! Serving HTTP so that no client can hold a service up: every wait for a client is bounded, and so is the number of clients.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use pulse_telemetry::Telemetry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use crate::error::BindError;
use crate::{Error, Shutdown, Tasks};

/// The longest a client may take over a request's head; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest a client may pause within a body.
const BODY_PAUSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest a request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at once on one listener; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// The pause after an accept that failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long work under way may take to end at shutdown, unless a service says otherwise.
pub const DRAIN: Duration = Duration::from_secs(8);

/// The sockets at which a service is reached.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub public: TcpListener,
    /// For operators: /metrics, /health and /ready. None: they are served on `public`.
    pub admin: Option<TcpListener>,
}

impl Listeners {
    /// The same sockets once more, for who serves them first. A connection goes to whoever accepts it.
    ///
    /// # Errors
    /// The process has no file descriptors left.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        let clone = |listener: &TcpListener| {
            // It does not block already, as the runtime wants it.
            TcpListener::from_std(listener.as_fd().try_clone_to_owned()?.into())
        };
        Ok(Self { public: clone(&self.public)?, admin: self.admin.as_ref().map(clone).transpose()? })
    }
}

/// Listens on an address.
///
/// # Errors
/// Names the service, the address and what would be right.
pub async fn bind(service: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError::new(service, address, source))
}

/// Serves `api` until shutdown, with the admin routes beside it or on their own listener, then lets requests under way end within `drain`.
///
/// # Errors
/// [`Error::Task`] when the drain's bound was met and requests were cut.
pub async fn serve(listeners: Listeners, telemetry: &Telemetry, api: Router, shutdown: Shutdown, drain: Duration) -> Result<(), Error> {
    let admin = telemetry.router();
    match listeners.admin {
        None => serve_one(listeners.public, telemetry, api.merge(admin), shutdown, drain).await,
        Some(listener) => {
            let public = serve_one(listeners.public, telemetry, api, shutdown.clone(), drain);
            let (public, admin) = tokio::join!(public, serve_one(listener, telemetry, admin, shutdown, drain));
            public.and(admin)
        }
    }
}

/// Serves the admin routes alone, as one of a service's tasks, for services without clients.
pub fn serve_admin(tasks: &mut Tasks, telemetry: &Telemetry, listeners: Listeners, shutdown: Shutdown) {
    let telemetry = telemetry.clone();
    tasks.spawn("the admin server", async move { serve(listeners, &telemetry, Router::new(), shutdown, DRAIN).await });
}

async fn serve_one(listener: TcpListener, telemetry: &Telemetry, router: Router, shutdown: Shutdown, drain: Duration) -> Result<(), Error> {
    let router = router
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE_TIMEOUT))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::new());
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Some((stream, place)) = shutdown.unless_triggered(accept(&listener, &room)).await {
        serve_connection(telemetry, stream, place, router.clone(), &connections);
    }
    drop(listener);
    tokio::time::timeout(drain, connections.shutdown())
        .await
        .map_err(|elapsed| Error::Task { what: "the drain of HTTP connections", source: Box::new(elapsed) })
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn serve_connection(
    telemetry: &Telemetry,
    stream: TcpStream,
    place: Option<OwnedSemaphorePermit>,
    router: Router,
    connections: &GracefulShutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection cannot be set to send at once");
    }
    let service = TowerToHyperService::new(router);
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(telemetry.scope(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(place);
    }));
}
