//! A 202 means durable, writes are grouped, and nothing is promised that is not kept.

use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use pulse_ui_api::Settings;
use serde_json::json;

use crate::service::{Service, body, message, release_writes, until};

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_grouped_across_requests() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    assert_eq!(service.send("acme/device/d1", &owner.device_token, body(0)).await.status, StatusCode::ACCEPTED);
    let held = service.hold_writes().await;
    let sends = join_all((1..=60).map(|seq| service.send("acme/device/d1", &owner.device_token, body(seq))));
    let release = async {
        until("the queue to fill", async || service.value("pulse_ingest_queue_depth", &[]) >= 60.0).await;
        assert_eq!(service.readings("acme", "d1").await.len(), 1, "nothing is written yet, so nothing is answered");
        release_writes(held).await;
    };
    let (answers, ()) = tokio::join!(sends, release);
    assert!(answers.iter().all(|answer| answer.status == StatusCode::ACCEPTED));
    assert_eq!(service.readings("acme", "d1").await.len(), 61);
    assert!(service.writes("success") <= 3.0, "61 requests in {} writes", service.writes("success"));
    assert!(service.value("pulse_processing_duration_seconds_count", &[("operation", "ingest_write")]) == service.writes("success"));
    until("the queue to be empty", async || service.value("pulse_ingest_queue_depth", &[]) == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_counts_and_recovers() {
    let service = Service::start_with(Settings { ingest_queue_max: 100, ingest_device_rate: 0, ..Settings::default() }).await;
    let owner = service.tenant("acme").await;
    let held = service.hold_writes().await;
    let batch = |from: i64| {
        let messages: Vec<_> = (from..from + 50).map(|seq| message("acme", "d1", &owner.device_token, seq)).collect();
        json!({ "messages": messages }).to_string()
    };
    let first = join_all([service.batch(batch(0)), service.batch(batch(50))]);
    let then = async {
        until("the queue to be full", async || service.value("pulse_ingest_queue_depth", &[]) >= 100.0).await;
        let single = service.send("acme/device/other", "x", body(1)).await;
        assert_eq!(single.problem(), "UNREGISTERED_DEVICE", "who may not send is told so even now");
        let refused = service.batch(batch(100)).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (503, "UNAVAILABLE"));
        assert!(refused.headers.contains_key("retry-after"));
        release_writes(held).await;
    };
    let (answers, ()) = tokio::join!(first, then);
    assert!(answers.iter().all(|answer| answer.status == StatusCode::ACCEPTED), "{answers:?}");
    assert!(service.value("pulse_ingest_records_dropped_total", &[]) == 50.0);
    assert!(service.messages("acme", "unavailable") == 50.0);
    assert_eq!(service.readings("acme", "d1").await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_is_written_though_its_sender_left() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let held = service.hold_writes().await;
    let left = tokio::time::timeout(Duration::from_millis(300), service.send("acme/device/d1", &owner.device_token, body(1))).await;
    assert!(left.is_err(), "there is no answer while nothing can be written");
    release_writes(held).await;
    until("the reading", async || service.readings("acme", "d1").await.len() == 1).await;
    until("its count", async || service.messages("acme", "accepted") == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_writes_what_is_queued() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let held = service.hold_writes().await;
    let sends = join_all((1..=20).map(|seq| service.send("acme/device/d1", &owner.device_token, body(seq))));
    let stop = async {
        until("the queue to fill", async || service.value("pulse_ingest_queue_depth", &[]) >= 20.0).await;
        service.ask_to_stop();
        release_writes(held).await;
    };
    let (answers, ()) = tokio::join!(sends, stop);
    assert!(answers.iter().all(|answer| answer.status == StatusCode::ACCEPTED), "requests under way are answered");
    assert_eq!(service.readings("acme", "d1").await.len(), 20);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_the_store_refuses_takes_no_other_with_it() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let mut database = service.database().await;
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON readings WHEN NEW.seq = 13 BEGIN SELECT RAISE(ABORT, 'a secret text'); END";
    sqlx::query(trap).execute(&mut database).await.unwrap();
    let held = service.hold_writes().await;
    let sends = join_all((1..=20).map(|seq| service.send("acme/device/d1", &owner.device_token, body(seq))));
    let release = async {
        until("the queue to fill", async || service.value("pulse_ingest_queue_depth", &[]) >= 20.0).await;
        release_writes(held).await;
    };
    let (answers, ()) = tokio::join!(sends, release);
    for (answer, seq) in answers.iter().zip(1..) {
        if seq == 13 {
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (500, "INTERNAL"));
            assert!(!answer.text.contains("secret"), "{answer:?}");
        } else {
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{seq}");
        }
    }
    assert_eq!(service.readings("acme", "d1").await.len(), 19);
    assert!(service.messages("acme", "accepted") == 19.0 && service.messages("acme", "unavailable") == 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_nothing_is_promised() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let known = service.send("acme/device/d1", &owner.device_token, body(1)).await;
    assert_eq!(known.status, StatusCode::ACCEPTED);
    service.store.close().await;
    let known = service.send("acme/device/d1", &owner.device_token, body(2)).await;
    assert_eq!((known.status.as_u16(), known.problem().as_str()), (503, "UNAVAILABLE"));
    let unknown = service.send("acme/device/d2", "x", body(2)).await;
    assert_eq!((unknown.status.as_u16(), unknown.problem().as_str()), (503, "UNAVAILABLE"));
    let batch = service.batch(json!({"messages": [message("acme", "d1", &owner.device_token, 3)]}).to_string()).await;
    assert_eq!((batch.status.as_u16(), batch.problem().as_str()), (503, "UNAVAILABLE"));
    let listed = service.call(reqwest::Method::GET, "/api/v1/tenants", &service.operator, None).await;
    assert_eq!((listed.status.as_u16(), listed.problem().as_str()), (503, "UNAVAILABLE"));
    for answer in [known, unknown, batch, listed] {
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    }
    assert!(service.writes("error") >= 2.0, "failed writes are timed and counted too");
    assert!(service.messages("acme", "unavailable") == 2.0 && service.messages("acme", "accepted") == 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_tells_since_when_ingest_hears() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let progress = async || {
        let now = pulse_runtime::Clock::system().now();
        service.store.ingest_progress(now, Duration::from_secs(60)).await.unwrap()
    };
    until("the first report", async || progress().await.is_some()).await;
    let first = progress().await.unwrap();
    until("a later report", async || progress().await.unwrap().durable_through > first.durable_through).await;
    assert_eq!(progress().await.unwrap().up_since, first.up_since);
    let mut database = service.database().await;
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON readings BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(trap).execute(&mut database).await.unwrap();
    assert_eq!(service.send("acme/device/d1", &owner.device_token, body(1)).await.status.as_u16(), 500);
    until("listening to begin anew", async || progress().await.unwrap().up_since > first.up_since).await;
}
