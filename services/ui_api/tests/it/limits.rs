//! Who sends too much is told when to come back, and others are not touched.

use futures::future::join_all;
use http::StatusCode;
use pulse_ui_api::Settings;
use serde_json::json;

use crate::service::{Service, body, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_a_limit_of_its_own() {
    let service = Service::start_with(Settings { ingest_device_rate: 1, ingest_device_burst: 3, ..Settings::default() }).await;
    let owner = service.tenant("acme").await;
    let other = service.device("acme", "d2").await;
    for _ in 0..20 {
        assert_eq!(service.send("acme/device/d1", "wrong", body(1)).await.problem(), "TOKEN_INVALID");
    }
    let messages: Vec<_> = (0..20).map(|seq| message("acme", "d1", &owner.device_token, seq)).collect();
    let batch = service.batch(json!({ "messages": messages }).to_string()).await;
    assert_eq!(batch.status, StatusCode::ACCEPTED);
    assert_eq!(batch.json()["accepted"], 3, "what others send in its name costs a device nothing: {batch:?}");
    assert_eq!(batch.json()["results"][19]["reason"], "RATE_LIMITED");
    let answers = join_all((0..10).map(|seq| service.send("acme/device/d1", &owner.device_token, body(seq)))).await;
    let limited = answers.iter().find(|answer| answer.status != StatusCode::ACCEPTED).unwrap();
    assert_eq!((limited.status.as_u16(), limited.problem().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(limited.headers["retry-after"], "1");
    assert_eq!(service.send("acme/device/d2", &other, body(1)).await.status, StatusCode::ACCEPTED);
    assert!(service.messages("acme", "rate_limited") >= 18.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_a_limit_of_its_own() {
    let service = Service::start_with(Settings { ingest_tenant_rate: 1, ingest_tenant_burst: 2, ..Settings::default() }).await;
    let acme = service.tenant("acme").await;
    let beta = service.tenant("beta").await;
    let second = service.device("acme", "d2").await;
    let mut messages = vec![message("acme", "d1", &acme.device_token, 1), message("acme", "d2", &second, 1)];
    messages.extend((2..10).map(|seq| message("acme", "d2", &second, seq)));
    messages.push(message("beta", "d1", &beta.device_token, 1));
    let summary = service.batch(json!({ "messages": messages }).to_string()).await.json();
    assert_eq!(summary["accepted"], 3, "{summary}");
    assert_eq!(summary["results"][2]["reason"], "RATE_LIMITED");
    assert_eq!(summary["results"][10]["status"], "accepted", "another tenant is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_fit_together_end_it_at_once() {
    let service = Service::start_with(Settings { ingest_queue_max: 10, ..Settings::default() }).await;
    let error = service.stop().await.unwrap_err().to_string();
    assert!(error.contains("PULSE_INGEST_QUEUE_MAX is 10"), "{error}");
}
