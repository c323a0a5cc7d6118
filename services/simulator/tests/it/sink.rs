//! The sink over TCP: what it verifies and counts, and each way to misbehave.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use pulse_domain::reading::{MetricValue, ReadingKind};
use pulse_runtime::Shutdown;
use pulse_simulator::fleet::Message;
use pulse_simulator::sent_readings::SentReadings;
use pulse_simulator::sink::behaviour::{Behaviour, Mode, Target};
use pulse_simulator::sink::{Sink, SinkSettings};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{access, eventually};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn start() -> Sink {
    Sink::start(SinkSettings::default(), &Shutdown::new()).await.unwrap()
}

fn alert(event: &str) -> Value {
    json!({
        "event": event, "device_id": "freezer-00000", "alert_type": "THRESHOLD", "status": "OPEN", "created_at": Utc::now(),
        "details": {"metric_name": "temperature_c", "metric_value": -7.25},
    })
}

/// A request as text, kept alive.
fn post(sink: &Sink, path: &str, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-length: {}\r\n\r\n{body}", sink.address(), body.len()).into_bytes()
}

fn signed(sink: &Sink, id: &str, body: &str) -> Vec<(&'static str, String)> {
    let now = Utc::now().timestamp();
    let signature = Webhook::new(sink.signing_secret().reveal()).unwrap().sign(id, now, body.as_bytes()).unwrap();
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.to_string()),
        ("webhook-signature", signature),
        ("traceparent", TRACE.to_owned()),
    ]
}

/// The answer's head and body as text.
async fn exchange(sink: &Sink, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(sink.address()).await?;
    stream.write_all(request).await?;
    let mut answer = vec![0; 64 * 1024];
    let length = stream.read(&mut answer).await?;
    Ok(String::from_utf8(answer[..length].to_vec()).unwrap())
}

async fn deliver(sink: &Sink, id: &str, event: &str) -> std::io::Result<String> {
    let body = alert(event).to_string();
    exchange(sink, &post(sink, "/webhook", &signed(sink, id, &body), &body)).await
}

async fn status(answer: impl Future<Output = std::io::Result<String>>) -> u16 {
    answer.await.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn messages_are_counted_once_by_event() {
    let sink = start().await;
    for (id, event) in [("a", "OPEN"), ("b", "CLOSED"), ("a", "OPEN"), ("c", "PARTY")] {
        assert_eq!(status(deliver(&sink, id, event)).await, 200);
    }
    let stats = sink.stats();
    assert_eq!((stats.webhooks, stats.delivered, stats.duplicates), (4, 3, 1));
    assert_eq!(stats.delivered_by_event.into_iter().collect::<Vec<_>>(), [("CLOSED", 1), ("OPEN", 1), ("OTHER", 1)]);
    assert_eq!((stats.bad_signatures, stats.missing_trace, stats.malformed, stats.misbehaved), (0, 0, 0, 0));
    assert_eq!((stats.unmatched, stats.alert_to_delivery.count), (1, 1));
    assert_eq!(["a", "b", "d"].map(|id| sink.times_taken(id)), [2, 1, 0]);
    let asked = exchange(&sink, b"GET /taken/a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(asked.ends_with(r#"{"webhook_id":"a","times":2}"#), "{asked}");
    let kept = sink.messages();
    assert_eq!(kept.len(), 4);
    assert_eq!((kept[0].headers["webhook-id"].as_str(), kept[0].headers["traceparent"].as_str()), ("a", TRACE));
    sink.stop().await;
    assert!(TcpStream::connect(sink.address()).await.is_err(), "it no longer listens");
}

#[tokio::test]
async fn what_is_not_signed_is_refused() {
    let sink = start().await;
    let body = alert("OPEN").to_string();
    let good = signed(&sink, "a", &body);
    let without = |name: &str| good.iter().filter(|(own, _)| *own != name).cloned().collect::<Vec<_>>();
    let mut other_id = good.clone();
    other_id[0].1 = "b".into();
    let mut stale = good.clone();
    stale[1].1 = (Utc::now().timestamp() - 3_600).to_string();
    for bad in [without("webhook-id"), without("webhook-signature"), without("webhook-timestamp"), other_id, stale] {
        assert_eq!(status(exchange(&sink, &post(&sink, "/webhook", &bad, &body))).await, 401);
    }
    assert_eq!(status(exchange(&sink, &post(&sink, "/webhook", &good, &alert("CLOSED").to_string()))).await, 401);
    let untraced = post(&sink, "/webhook", &without("traceparent"), &body);
    assert_eq!(status(exchange(&sink, &untraced)).await, 200, "a missing trace is counted, not refused");
    let stats = sink.stats();
    assert_eq!((stats.bad_signatures, stats.missing_trace, stats.delivered), (6, 1, 1));
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let sink = start().await;
    for body in ["", "[]", "{}", "{\"event\":"] {
        assert_eq!(status(exchange(&sink, &post(&sink, "/webhook", &signed(&sink, "a", body), body))).await, 400, "{body}");
        assert_eq!(status(exchange(&sink, &post(&sink, "/slack", &[], body))).await, 400, "{body}");
    }
    let large = "x".repeat(256 * 1024 + 1);
    assert_eq!(status(exchange(&sink, &post(&sink, "/slack", &[], &large))).await, 413);
    assert_eq!(status(exchange(&sink, &post(&sink, "/slack", &[], r#"{"text":"hello"}"#))).await, 200);
    assert_eq!(status(exchange(&sink, &post(&sink, "/nowhere", &[], ""))).await, 404);
    assert_eq!(status(exchange(&sink, b"GET /webhook HTTP/1.1\r\nhost: x\r\n\r\n")).await, 405);
    assert_eq!(status(exchange(&sink, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")).await, 200);
    let stats = sink.stats();
    assert_eq!((stats.malformed, stats.chats, stats.chats_delivered, stats.delivered), (8, 5, 1, 0));
}

#[tokio::test]
async fn it_fails_and_rejects_as_told_and_recovers() {
    let sink = start().await;
    let fail = Behaviour { retry_after: Some(7), times: Some(1), ..Behaviour::new(Mode::Fail) };
    sink.behave(&fail).unwrap();
    let answer = deliver(&sink, "a", "OPEN").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 7"), "{answer}");
    assert_eq!(status(deliver(&sink, "a", "OPEN")).await, 200, "told to fail once");
    sink.behave(&Behaviour { status: Some(410), ..Behaviour::new(Mode::Reject) }).unwrap();
    assert_eq!(status(deliver(&sink, "b", "OPEN")).await, 410);
    let stats = sink.stats();
    assert_eq!((stats.misbehaved, stats.delivered, stats.duplicates), (2, 1, 0), "a refused message is no double later");
}

#[tokio::test]
async fn it_takes_a_message_and_loses_the_answer_as_told() {
    let sink = start().await;
    sink.behave(&Behaviour { times: Some(1), ..Behaviour::new(Mode::Lose) }).unwrap();
    assert!(deliver(&sink, "a", "OPEN").await.is_err(), "cut instead of answered");
    assert_eq!(sink.times_taken("a"), 1);
    assert_eq!(status(deliver(&sink, "a", "OPEN")).await, 200);
    assert_eq!((sink.times_taken("a"), sink.stats().duplicates), (2, 1));
}

#[tokio::test]
async fn it_is_slow_as_told() {
    let sink = start().await;
    sink.behave(&Behaviour { delay_ms: Some(1_000), ..Behaviour::new(Mode::Slow) }).unwrap();
    let begun = Instant::now();
    assert_eq!(status(deliver(&sink, "a", "OPEN")).await, 200);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(sink.stats().alert_to_delivery.max_ms < 900.0, "latency ends with the arrival, not with the answer");
}

#[tokio::test]
async fn it_hangs_on_one_path_and_not_on_the_other() {
    let sink = start().await;
    sink.behave(&Behaviour { target: Target::Webhook, ..Behaviour::new(Mode::Hang) }).unwrap();
    let mut hanging = tokio::spawn({
        let sink = sink.clone();
        async move { deliver(&sink, "a", "OPEN").await }
    });
    eventually("the message", || sink.stats().webhooks == 1).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut hanging).await.is_err(), "no answer");
    assert_eq!(status(exchange(&sink, &post(&sink, "/slack", &[], r#"{"text":"hello"}"#))).await, 200);
    let begun = Instant::now();
    sink.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "a hanging request does not hold up the stop");
    let answer = hanging.await.unwrap();
    assert!(answer.is_err() || answer.is_ok_and(|text| text.is_empty()));
    assert_eq!(sink.stats().delivered, 0);
}

#[tokio::test]
async fn it_resets_the_connection() {
    let sink = start().await;
    sink.behave(&Behaviour::new(Mode::Reset)).unwrap();
    let error = deliver(&sink, "a", "OPEN").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_is_told_over_http_and_tells_over_http() {
    let sink = start().await;
    let control = |body: &str| post(&sink, "/control", &[], body);
    let answer = exchange(&sink, &control(r#"{"mode":"fail","status":500,"times":1}"#)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(status(deliver(&sink, "a", "OPEN")).await, 500);
    assert_eq!(status(deliver(&sink, "a", "OPEN")).await, 200);
    for (bad, says) in [(r#"{"mode":"nap"}"#, "unknown variant `nap`"), (r#"{"mode":"fail","status":200}"#, "400 to 599")] {
        let answer = exchange(&sink, &control(bad)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(says), "{answer}");
    }
    let body = |answer: String| serde_json::from_str::<Value>(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let stats = body(exchange(&sink, b"GET /stats HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap());
    assert_eq!((&stats["delivered"], &stats["delivered_by_event"]["OPEN"]), (&json!(1), &json!(1)));
    let messages = body(exchange(&sink, b"GET /messages HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap());
    assert_eq!((messages.as_array().unwrap().len(), &messages[0]["path"]), (2, &json!("webhook")));
}

#[tokio::test]
async fn the_way_from_the_device_is_measured_by_the_reading_that_fired() {
    let sink = start().await;
    let sent_readings = Arc::new(SentReadings::new(&access(1)));
    sink.measure_with(Arc::clone(&sent_readings));
    let metrics = vec![("temperature_c", MetricValue::Number(-7.25))];
    let message = Message { device: 0, seq: 1, at: Duration::ZERO, kind: ReadingKind::Telemetry, metrics, in_breach: true };
    sent_readings.note(&message, Instant::now() - Duration::from_millis(400));
    assert_eq!(status(deliver(&sink, "a", "OPEN")).await, 200);
    assert_eq!(status(deliver(&sink, "b", "CLOSED")).await, 200);
    let measured = sink.stats().device_to_delivery;
    assert_eq!(measured.count, 1, "only the opening is measured");
    assert!(measured.p95_ms >= 400.0 && measured.p95_ms < 5_000.0, "{measured:?}");
    assert_eq!(sink.stats().unmatched, 0);
}

#[tokio::test]
async fn a_sink_that_cannot_listen_or_verify_says_so() {
    let sink = start().await;
    let taken = SinkSettings { listen: sink.address(), ..SinkSettings::default() };
    let error = Sink::start(taken, &Shutdown::new()).await.unwrap_err().to_string();
    assert_eq!(error, format!("the sink cannot listen on {}", sink.address()));
    let secret = Some(pulse_domain::credential::SecretToken::from_text("whsec_?"));
    let error = Sink::start(SinkSettings { signing_secret: secret, ..SinkSettings::default() }, &Shutdown::new()).await.unwrap_err();
    assert!(error.to_string().contains("whsec_ and base64"));
}
