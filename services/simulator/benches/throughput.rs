//! How fast the simulator's own parts are, so that what is measured with them is the server and not they:
//! `cargo bench -p pulse-simulator`.
//!
//! The load runs against a server that does nothing but read the request and answer 202; the sink is fed signed webhooks over 64
//! kept-alive connections, each rendered and signed beforehand. All of it shares the cores of the machine.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a bench prints and may fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pulse_domain::credential::SecretToken;
use pulse_domain::ids::TenantId;
use pulse_runtime::Shutdown;
use pulse_simulator::fleet::profile;
use pulse_simulator::load::{LoadPlan, load};
use pulse_simulator::sink::{Sink, SinkSettings};
use pulse_simulator::wire::{DeviceAccess, FleetAccess};
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const DEVICES: u32 = 1_000;
const SECONDS: u64 = 5;
const CONNECTIONS: usize = 64;
const ANSWER: &[u8] = br#"{"accepted":100,"rejected":0,"results":[]}"#;

#[tokio::main]
async fn main() {
    let url = trivial_server().await;
    let access = access();
    for batch in [None, Some(100)] {
        let plan = LoadPlan {
            url: url.clone(),
            connections: CONNECTIONS,
            batch,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(SECONDS),
            seed: 1,
        };
        let report = load(&plan, &access, &Shutdown::new()).await.unwrap();
        println!("load, batch {batch:?}: {}", serde_json::to_string(&report).unwrap());
    }
    sink().await;
}

async fn trivial_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    url
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

fn access() -> FleetAccess {
    let device = |number| {
        let profile = profile(number).unwrap();
        DeviceAccess { device_id: profile.device_id, site_id: profile.site_id, token: SecretToken::generate("pulse_dev") }
    };
    FleetAccess { tenant_id: TenantId::parse("demo").unwrap(), devices: (0..DEVICES).map(device).collect() }
}

async fn sink() {
    let sink = Sink::start(SinkSettings::default(), &Shutdown::new()).await.unwrap();
    let signature = Arc::new(Webhook::new(sink.signing_secret().reveal()).unwrap());
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|sender| {
            let requests: Vec<_> = (0..500).map(|number| webhook(&signature, sender, number)).collect();
            tokio::spawn(send(sink.address(), requests, until))
        })
        .collect();
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    let stats = sink.stats();
    assert_eq!((stats.delivered + stats.duplicates, stats.bad_signatures), (sent, 0));
    println!("sink: {:.0} webhooks/s verified and counted", sent as f64 / SECONDS as f64);
}

fn webhook(signature: &Webhook, sender: usize, number: usize) -> Vec<u8> {
    let (id, now) = (format!("msg_{sender}_{number}"), chrono::Utc::now());
    let body = serde_json::json!({
        "event_id": id, "event": "OPEN", "tenant_id": "demo", "alert_id": id, "site_id": "site-001", "device_id": "freezer-00000",
        "alert_type": "THRESHOLD", "severity": 4, "confidence": 1.0, "summary": "Freezer too warm: temperature_c -7.25 > -10",
        "status": "OPEN", "created_at": now, "details": {"rule_name": "Freezer too warm", "metric_name": "temperature_c", "metric_value": -7.25},
    })
    .to_string();
    let signed = signature.sign(&id, now.timestamp(), body.as_bytes()).unwrap();
    format!(
        "POST /webhook HTTP/1.1\r\nhost: sink\r\ncontent-type: application/json\r\nwebhook-id: {id}\r\nwebhook-timestamp: {}\r\n\
         webhook-signature: {signed}\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ncontent-length: {}\r\n\r\n{body}",
        now.timestamp(),
        body.len()
    )
    .into_bytes()
}

async fn send(address: std::net::SocketAddr, requests: Vec<Vec<u8>>, until: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = vec![0; 4_096];
    let mut sent = 0;
    for request in requests.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        stream.write_all(request).await.unwrap();
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        sent += 1;
    }
    sent
}
