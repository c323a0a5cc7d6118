//! Serving over real sockets: the admin routes' places, slow clients, the drain.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use pulse_runtime::{Deps, Error, Listeners, Shutdown, bind, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const DRAIN: Duration = Duration::from_millis(500);

async fn listener() -> TcpListener {
    bind("evaluator", "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

fn api() -> Router {
    Router::new()
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                "done"
            }),
        )
        .route("/stuck", get(std::future::pending::<()>))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("a defect")
                }
            }),
        )
}

/// One request on a connection of its own; the answer's status and body.
async fn request(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: pulse\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn start(deps: &Deps, listeners: Listeners, shutdown: &Shutdown) -> tokio::task::JoinHandle<Result<(), Error>> {
    let (telemetry, shutdown) = (deps.telemetry.clone(), shutdown.clone());
    tokio::spawn(async move { serve(listeners, &telemetry, api(), shutdown, DRAIN).await })
}

#[tokio::test]
async fn admin_routes_live_on_the_own_port_or_move() {
    let (deps, _folder) = crate::deps().await;
    for moved in [false, true] {
        let (public, admin) = (listener().await, listener().await);
        let (public_at, admin_at) = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let served = start(&deps, Listeners { public, admin: moved.then_some(admin) }, &shutdown);
        let at = if moved { admin_at } else { public_at };
        for path in ["/health", "/ready", "/metrics"] {
            assert!(request(at, path).await.starts_with("HTTP/1.1 200"), "{path} at its place");
            if moved {
                assert!(request(public_at, path).await.starts_with("HTTP/1.1 404"), "{path} on the public port");
            }
        }
        shutdown.trigger();
        served.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_request_under_way_is_answered_and_a_stuck_one_is_cut_at_the_drains_bound() {
    let (deps, _folder) = crate::deps().await;
    for (path, answered) in [("/slow", true), ("/stuck", false)] {
        let public = listener().await;
        let address = public.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let served = start(&deps, Listeners { public, admin: None }, &shutdown);
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: pulse\r\n\r\n").as_bytes()).await.unwrap();
        // A second request that is answered shows that the first has arrived.
        request(address, "/health").await;
        let asked = Instant::now();
        shutdown.trigger();
        assert_eq!(served.await.unwrap().is_ok(), answered, "{path}");
        assert!(asked.elapsed() < DRAIN + Duration::from_secs(2));
        if answered {
            let mut answer = vec![0; 512];
            let read = stream.read(&mut answer).await.unwrap();
            assert!(String::from_utf8_lossy(&answer[..read]).ends_with("done"));
        }
    }
}

#[tokio::test]
async fn a_panicking_handler_is_a_500_and_the_service_lives() {
    let (deps, _folder) = crate::deps().await;
    let public = listener().await;
    let address = public.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let served = start(&deps, Listeners { public, admin: None }, &shutdown);
    assert!(request(address, "/panic").await.starts_with("HTTP/1.1 500"));
    assert!(request(address, "/health").await.starts_with("HTTP/1.1 200"));
    shutdown.trigger();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_dribbles_its_head_is_cut() {
    let (deps, _folder) = crate::deps().await;
    let public = listener().await;
    let address = public.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let served = start(&deps, Listeners { public, admin: None }, &shutdown);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nx-slow: ").await.unwrap();
    let mut rest = Vec::new();
    let cut = tokio::time::timeout(Duration::from_secs(25), stream.read_to_end(&mut rest)).await;
    assert!(cut.is_ok(), "the connection is still open");
    assert!(request(address, "/health").await.starts_with("HTTP/1.1 200"));
    shutdown.trigger();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = listener().await;
    let error = bind("ui_api", taken.local_addr().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("for ui_api: the port is in use"), "{error}");
}
