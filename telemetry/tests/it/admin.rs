//! `/metrics`, `/health` and `/ready` over the router.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use pulse_telemetry::{Definition, Telemetry};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::series::{shown, steady};
use crate::telemetry;

static TEMPERATURE: Definition = Definition::gauge("pulse_temperature", "Cel", "Temperature.", &[]);

async fn get(telemetry: &Telemetry, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).header("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").body(Body::empty());
    let (parts, body) = telemetry.router().oneshot(request.unwrap()).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn ready(telemetry: &Telemetry) -> (StatusCode, Value) {
    let (status, _, body) = get(telemetry, "/ready").await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn metrics_is_plain_text_whatever_is_asked_for() {
    let telemetry = telemetry("ui_api");
    let (status, headers, body) = get(&telemetry, "/metrics").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(steady(shown(&body)), steady(shown(&telemetry.render().unwrap())));
}

#[tokio::test]
async fn after_a_shutdown_metrics_is_a_503_with_the_reason() {
    let telemetry = telemetry("ui_api");
    telemetry.shutdown(Duration::from_secs(5)).await.unwrap();
    let (status, _, body) = get(&telemetry, "/metrics").await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "telemetry was shut down\n"));
}

/// The router holds the telemetry, so `/metrics` does not go empty when the last other handle is gone.
#[tokio::test]
async fn the_router_keeps_it_alive() {
    let telemetry = telemetry("ui_api");
    let router = telemetry.router();
    drop(telemetry);
    let answer = router.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

/// A callback that blocks stalls scrapes; they answer 503 in time, and the service's own workers stay free.
#[tokio::test]
async fn a_blocking_callback_does_not_take_the_service_down() {
    let telemetry = telemetry("ui_api");
    let release = Arc::new(AtomicBool::new(false));
    let blocked = Arc::clone(&release);
    telemetry.observe(&TEMPERATURE, &[], move || {
        while !blocked.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        20.0
    });
    let started = Instant::now();
    let (scrape, health) = tokio::join!(get(&telemetry, "/metrics"), get(&telemetry, "/health"));
    assert_eq!(health.0, StatusCode::OK);
    assert_eq!(
        (scrape.0, scrape.2.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "collecting took too long: a callback blocks, or the machine is overwhelmed\n")
    );
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    release.store(true, Ordering::Relaxed);
    assert_eq!(get(&telemetry, "/metrics").await.0, StatusCode::OK);
}

#[tokio::test]
async fn health_says_who_is_alive() {
    let (status, _, body) = get(&telemetry("ui_api"), "/health").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({ "status": "ok", "service": "ui_api" }));
}

#[tokio::test]
async fn ready_names_every_check_and_activity() {
    let telemetry = telemetry("worker");
    let readiness = telemetry.readiness();
    assert_eq!(ready(&telemetry).await.0, StatusCode::OK, "nothing to wait for");
    let works = Arc::new(AtomicBool::new(false));
    let database = Arc::clone(&works);
    readiness.check("database", move || {
        let works = database.load(Ordering::Relaxed);
        async move { if works { Ok(()) } else { Err("connection refused".to_owned()) } }
    });
    readiness.activity("dispatch_cycle", Duration::from_secs(60));
    let (status, body) = ready(&telemetry).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let wanted = json!({
        "status": "not ready",
        "service": "worker",
        "checks": [{ "name": "database", "ok": false, "reason": "connection refused" }],
        "activities": [{ "name": "dispatch_cycle", "ok": true, "reason": null }],
    });
    assert_eq!(body, wanted);
    works.store(true, Ordering::Relaxed);
    let (status, body) = ready(&telemetry).await;
    assert_eq!((status, &body["status"], &body["checks"][0]["ok"]), (StatusCode::OK, &json!("ready"), &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_move_is_named_with_how_long() {
    let telemetry = telemetry("worker");
    let activity = telemetry.readiness().activity("dispatch_cycle", Duration::from_secs(10));
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(ready(&telemetry).await.0, StatusCode::OK);
    activity.beat();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(ready(&telemetry).await.0, StatusCode::OK, "it moved 9 s ago");
    tokio::time::advance(Duration::from_millis(3_500)).await;
    let (status, body) = ready(&telemetry).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["activities"][0]["reason"], "has not moved for 12.5 s, its deadline is 10s");
    activity.finish();
    assert_eq!(ready(&telemetry).await.0, StatusCode::OK, "it ended on purpose");
    activity.beat();
    drop(activity);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(ready(&telemetry).await.0, StatusCode::SERVICE_UNAVAILABLE, "it is gone without a word");
    telemetry.readiness().activity("dispatch_cycle", Duration::from_secs(10));
    assert_eq!(ready(&telemetry).await.0, StatusCode::OK, "it was started again");
}

/// All at once and each bounded: five that hang take as long as one.
#[tokio::test(start_paused = true)]
async fn checks_that_hang_or_panic_have_failed() {
    let telemetry = telemetry("worker");
    let readiness = telemetry.readiness();
    for name in ["a", "b", "c", "d", "e"] {
        readiness.check(name, std::future::pending);
    }
    readiness.check("panics", || async { panic!("a bug") });
    readiness.check("panics at once", || -> std::future::Ready<Result<(), String>> { panic!("a bug") });
    let started = tokio::time::Instant::now();
    let (status, body) = ready(&telemetry).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(body["checks"][4], json!({ "name": "e", "ok": false, "reason": "no answer within 2s" }));
    for place in [5, 6] {
        assert_eq!(body["checks"][place]["reason"], "the check panicked");
    }
}
