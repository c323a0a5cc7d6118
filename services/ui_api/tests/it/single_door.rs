//! The door for one message keeps its contract.

use http::StatusCode;
use pulse_domain::reading::{MetricValue, ReadingKind};
use reqwest::Method;
use serde_json::json;

use crate::service::{Service, answer, body, site};

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_message_is_kept_as_it_was_sent() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let url = service.url("/ingest/v1/tenant/acme/device/d1/telemetry");
    let request = service.client.post(url).header("x-provision-token", &owner.device_token).header("traceparent", trace).body(body(-7));
    let accepted = answer(request).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(accepted.json(), json!({"status": "accepted", "device_id": "d1", "seq": -7}));
    let [reading] = service.readings("acme", "d1").await.try_into().unwrap();
    assert_eq!(reading.kind, ReadingKind::Telemetry);
    assert_eq!(reading.ts.to_rfc3339(), "2026-01-31T12:00:00+00:00");
    assert_eq!((reading.site_id, reading.seq), (site("site-1"), Some(-7)));
    assert_eq!(reading.metrics.get("temp"), Some(MetricValue::Number(21.5)));
    assert_eq!(reading.metrics.get("door"), Some(MetricValue::Bool(true)));
    let kept = reading.trace.unwrap();
    assert_eq!(kept.as_str()[..35], trace[..35], "the trace of the request");
    assert_ne!(kept.as_str(), trace, "a span of its own");
    assert!(service.messages("acme", "accepted") == 1.0);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_may_say_nothing_but_its_site() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let url = service.url("/ingest/v1/tenant/acme/device/d1/heartbeat");
    let accepted = answer(service.client.post(url).header("x-provision-token", &owner.device_token).body(r#"{"site_id":"site-1"}"#)).await;
    assert_eq!((accepted.status, accepted.json()["seq"].is_null()), (StatusCode::ACCEPTED, true));
    let [reading] = service.readings("acme", "d1").await.try_into().unwrap();
    assert_eq!((reading.kind, reading.ts), (ReadingKind::Heartbeat, reading.received_at));
    assert!(reading.metrics.is_empty() && reading.trace.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status_and_reason_and_is_counted() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let revoked = service.device("acme", "revoked").await;
    let gone = service.device("acme", "gone").await;
    for (device, lifecycle) in [("revoked", "REVOKED"), ("gone", "DECOMMISSIONED")] {
        let change = json!({"lifecycle": lifecycle});
        service.ok(Method::PATCH, &format!("/api/v1/tenants/acme/devices/{device}"), Some(&change)).await;
    }
    let token = owner.device_token.as_str();
    let many = json!({"site_id": "site-1", "metrics": (0..65).map(|i| (format!("m{i}"), i.into())).collect::<serde_json::Map<_, _>>()});
    let long = json!({"site_id": "site-1", "metrics": {"x".repeat(129): 1}});
    let d1 = "acme/device/d1";
    let table = [
        (d1, "", body(1), 401, "TOKEN_MISSING"),
        (d1, "wrong", body(1), 401, "TOKEN_INVALID"),
        (d1, revoked.as_str(), body(1), 401, "TOKEN_INVALID"),
        ("acme/device/revoked", revoked.as_str(), body(1), 403, "DEVICE_REVOKED"),
        ("acme/device/revoked", "wrong", body(1), 401, "TOKEN_INVALID"),
        ("acme/device/gone", gone.as_str(), body(1), 403, "UNREGISTERED_DEVICE"),
        ("acme/device/nobody", token, body(1), 403, "UNREGISTERED_DEVICE"),
        ("nowhere/device/d1", token, body(1), 403, "UNREGISTERED_DEVICE"),
        ("a%20b/device/d1", token, body(1), 400, "INVALID"),
        ("%FF/device/d1", token, body(1), 400, "INVALID"),
        (d1, token, body(1).replace("site-1", "site-2"), 400, "SITE_MISMATCH"),
        (d1, token, many.to_string(), 400, "TOO_MANY_METRICS"),
        (d1, token, long.to_string(), 400, "METRIC_KEY_TOO_LONG"),
        (d1, token, r#"{"site_id":"site-1","metrics":{" a":1}}"#.to_owned(), 400, "METRIC_KEY_INVALID"),
        (d1, token, r#"{"site_id":"site-1"}"#.to_owned(), 400, "INVALID"),
        (d1, token, format!("{}{}", body(1), " ".repeat(262_144)), 413, "PAYLOAD_TOO_LARGE"),
    ];
    for (device, token, sent, status, code) in table {
        let refused = service.send(device, token, sent).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (status, code), "{device}: {refused:?}");
        assert_eq!(refused.headers.contains_key("www-authenticate"), status == 401);
    }
    for (tenant, result, count) in [
        ("acme", "token_invalid", 3.0),
        ("acme", "device_revoked", 1.0),
        ("acme", "unregistered_device", 1.0),
        ("acme", "site_mismatch", 1.0),
        ("acme", "too_many_metrics", 1.0),
        ("acme", "metric_key_too_long", 1.0),
        ("acme", "metric_key_invalid", 1.0),
        ("acme", "invalid", 1.0),
        ("acme", "payload_too_large", 1.0),
        ("_unknown", "token_missing", 1.0),
        ("_unknown", "unregistered_device", 2.0),
        ("_unknown", "invalid", 2.0),
        ("acme", "accepted", 0.0),
    ] {
        assert!(service.messages(tenant, result) == count, "{tenant} {result}: {}", service.messages(tenant, result));
    }
    for (reason, count) in [("token_missing", 1.0), ("token_invalid", 3.0), ("device_revoked", 1.0), ("unregistered_device", 3.0)] {
        assert!(service.value("pulse_auth_failures_total", &[("reason", reason)]) == count, "{reason}");
    }
    assert!(service.readings("acme", "d1").await.is_empty());
    assert_eq!(service.send(d1, token, body(1)).await.status, StatusCode::ACCEPTED, "the service works as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_judged_by_what_it_is_now() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    assert_eq!(service.send("acme/device/new", "x", body(1)).await.problem(), "UNREGISTERED_DEVICE");
    let first = service.device("acme", "new").await;
    assert_eq!(service.send("acme/device/new", &first, body(1)).await.status, StatusCode::ACCEPTED, "the refusal was not kept");
    let rotated = service.ok(Method::POST, "/api/v1/tenants/acme/devices/d1/token", None).await;
    assert_eq!(service.send("acme/device/d1", &owner.device_token, body(1)).await.problem(), "TOKEN_INVALID");
    let second = rotated["token"].as_str().unwrap();
    assert_eq!(service.send("acme/device/d1", second, body(1)).await.status, StatusCode::ACCEPTED);
    service.ok(Method::PATCH, "/api/v1/tenants/acme/devices/d1", Some(&json!({"site_id": "site-2"}))).await;
    assert_eq!(service.send("acme/device/d1", second, body(2)).await.problem(), "SITE_MISMATCH");
    service.ok(Method::PATCH, "/api/v1/tenants/acme/devices/d1", Some(&json!({"site_id": "site-1", "lifecycle": "INACTIVE"}))).await;
    assert_eq!(service.send("acme/device/d1", second, body(2)).await.status, StatusCode::ACCEPTED, "an inactive device is heard");
}
