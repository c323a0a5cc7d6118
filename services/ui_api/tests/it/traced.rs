//! The spans of requests and of what is done for them.

use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use pulse_telemetry::opentelemetry::trace::SpanKind;
use pulse_telemetry::propagation;
use pulse_telemetry::testing::KeptSpan;
use reqwest::Method;
use serde_json::json;

use crate::isolation::furnish;
use crate::service::{Owner, Service, answer, body, message, release_writes, until};

const TELEMETRY: &str = "POST /ingest/v1/tenant/{tenant_id}/device/{device_id}/telemetry";

/// A reading of device `d1` within the trace, and the span of its request.
async fn send(service: &Service, owner: &Owner, trace: &str, seq: i64) -> KeptSpan {
    let url = service.url("/ingest/v1/tenant/acme/device/d1/telemetry");
    let request = service.client.post(url).header("x-provision-token", &owner.device_token).header("traceparent", trace);
    assert_eq!(answer(request.body(body(seq))).await.status, StatusCode::ACCEPTED);
    let spans = async || service.spans(TELEMETRY, 1).await.into_iter().find(|span| span.is_child_of(trace));
    until("the request's span", async || spans().await.is_some()).await;
    spans().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_goes_on_from_the_span_of_its_request() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    let span = send(&service, &owner, &propagation::new_root(), 1).await;
    let [reading] = service.readings("acme", "d1").await.try_into().unwrap();
    assert_eq!((reading.trace.unwrap().as_str(), &span.kind, &span.error), (span.traceparent.as_str(), &SpanKind::Server, &None));
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/ingest/v1/tenant/{tenant_id}/device/{device_id}/telemetry"),
        ("http.response.status_code", "202"),
        ("url.scheme", "http"),
        ("url.path", "/ingest/v1/tenant/acme/device/d1/telemetry"),
    ] {
        assert_eq!(span.attribute(name), Some(value), "{name}");
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_names_its_requests_and_is_a_trace_of_its_own() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    send(&service, &owner, &propagation::new_root(), 0).await;
    let held = service.hold_writes().await;
    let traces: Vec<String> = (0..3).map(|_| propagation::new_root()).collect();
    let sends = join_all((1..).zip(&traces).map(|(seq, trace)| send(&service, &owner, trace, seq)));
    let release = async {
        until("the queue to fill", async || service.value("pulse_ingest_queue_depth", &[]) >= 3.0).await;
        release_writes(held).await;
    };
    let (requests, ()) = tokio::join!(sends, release);
    let named = async || {
        let writes = service.spans("ingest_write", 2).await;
        requests.iter().all(|request| writes.iter().any(|write| write.link_to(&request.traceparent).is_some()))
    };
    until("the writes' spans", named).await;
    for write in service.spans("ingest_write", 2).await {
        assert_eq!((&write.parent_id, &write.kind, &write.error), (&None, &SpanKind::Internal, &None));
        let calls = service.spans("append_readings", 1).await;
        let call = calls.iter().find(|call| call.is_child_of(&write.traceparent)).unwrap();
        assert_eq!((call.attribute("db.system.name"), &call.kind), (Some("sqlite"), &SpanKind::Client));
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_readings_of_a_batch_are_one_cause() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    let messages: Vec<_> = (0..5).map(|seq| message("acme", "d1", &owner.device_token, seq)).collect();
    assert_eq!(service.batch(json!({ "messages": messages }).to_string()).await.status, StatusCode::ACCEPTED);
    let request = service.spans("POST /ingest/v1/batch", 1).await.remove(0);
    assert_eq!(request.parent_id, None, "the sender named no trace");
    let write = service.spans("ingest_write", 1).await.remove(0);
    assert!(write.links.len() == 1 && write.link_to(&request.traceparent).is_some(), "{:?}", write.links);
    let append = service.spans("append_readings", 1).await.remove(0);
    assert_eq!(append.attribute("db.operation.batch.size"), Some("5"));
    for reading in service.readings("acme", "d1").await {
        assert_eq!(reading.trace.unwrap().as_str(), request.traceparent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_goes_on_from_the_span_of_their_request() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    let ids = furnish(&service, &owner).await;
    let alert_id = &ids.iter().find(|(name, _)| *name == "alert_id").unwrap().1;
    let own = format!("/api/v1/tenants/acme/alerts/{alert_id}");
    for action in ["acknowledge", "close"] {
        service.ok(Method::POST, &format!("{own}/{action}"), None).await;
    }
    let events = service.ok(Method::GET, &format!("{own}/events"), None).await;
    for (event, action) in [(1, "acknowledge"), (2, "close")] {
        let request = service.spans(&format!("POST /api/v1/tenants/{{tenant_id}}/alerts/{{alert_id}}/{action}"), 1).await.remove(0);
        assert_eq!(events["items"][event]["trace"], request.traceparent, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_a_change_closes_goes_on_from_the_changes_span() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    furnish(&service, &owner).await;
    let change = json!({"lifecycle": "INACTIVE"});
    service.ok(Method::PATCH, "/api/v1/tenants/acme/devices/d1", Some(&change)).await;
    let request = service.spans("PATCH /api/v1/tenants/{tenant_id}/devices/{device_id}", 1).await.remove(0);
    let mut traces = Vec::new();
    for alert in service.ok(Method::GET, "/api/v1/tenants/acme/alerts", None).await["items"].as_array().unwrap() {
        let path = format!("/api/v1/tenants/acme/alerts/{}/events", alert["alert_id"].as_str().unwrap());
        let events = service.ok(Method::GET, &path, None).await;
        let closed = events["items"].as_array().unwrap().iter().filter(|event| event["kind"] == "CLOSED").cloned();
        traces.extend(closed.map(|event| event["trace"].clone()));
    }
    assert_eq!(traces, [json!(request.traceparent)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_fault_is_no_error_and_what_it_made_up_is_not_kept() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    let lost = service.call(Method::GET, "/nowhere/pulse_dev_s3cr3t?token=s3cr3t", &owner.admin, None).await;
    assert_eq!(lost.status, StatusCode::NOT_FOUND);
    assert_eq!(service.send("acme/device/d1", "s3cr3t", body(1)).await.status, StatusCode::UNAUTHORIZED);
    let long = "x".repeat(600);
    assert_eq!(service.send(&format!("acme/device/{long}"), "s3cr3t", body(1)).await.status, StatusCode::BAD_REQUEST);
    let lost = service.spans("GET", 1).await.remove(0);
    assert_eq!((lost.attribute("http.response.status_code"), lost.attribute("error.type"), lost.error.as_ref()), (Some("404"), None, None));
    assert_eq!(lost.attributes.keys().collect::<Vec<_>>(), ["http.request.method", "http.response.status_code", "url.scheme"]);
    let refused = service.spans(TELEMETRY, 2).await;
    assert!(refused.iter().all(|span| span.error.is_none() && span.attribute("error.type").is_none()), "{refused:?}");
    assert!(refused.iter().any(|span| span.attribute("url.path").is_none()), "the long one has no path");
    let all = format!("{:?}", service.telemetry.spans());
    assert!(!all.contains("s3cr3t") && !all.contains(&owner.admin), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_fault_is_an_error() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    assert_eq!(service.send("acme/device/d1", &owner.device_token, body(1)).await.status, StatusCode::ACCEPTED);
    service.store.close().await;
    assert_eq!(service.send("acme/device/d1", &owner.device_token, body(2)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let span = service.spans(TELEMETRY, 2).await.remove(1);
    assert_eq!((span.attribute("http.response.status_code"), span.attribute("error.type")), (Some("503"), Some("503")));
    assert_eq!(span.error.as_deref(), Some(""), "the status says it all");
    let append = service.spans("append_readings", 2).await.remove(1);
    assert_eq!((append.attribute("error.type"), append.error.as_deref()), (Some("unavailable"), Some("the database is not available")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_waits_for_ends_in_an_error() {
    let service = Service::traced().await;
    let owner = service.tenant("acme").await;
    let held = service.hold_writes().await;
    let sent = service.send("acme/device/d1", &owner.device_token, body(1));
    assert!(tokio::time::timeout(Duration::from_millis(300), sent).await.is_err());
    let span = service.spans(TELEMETRY, 1).await.remove(0);
    assert_eq!((span.attribute("error.type"), span.attribute("http.response.status_code")), (Some("cancelled"), None));
    release_writes(held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_and_probes_ask_is_no_span() {
    let service = Service::traced().await;
    for path in ["/metrics", "/health", "/ready"] {
        assert_eq!(answer(service.client.get(service.url(path))).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(answer(service.client.get(service.url("/"))).await.status, StatusCode::OK);
    service.spans("GET /", 1).await;
    assert_eq!(service.telemetry.spans().len(), 1);
}
