//! What the service measures of itself.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use crate::openapi::alert;
use crate::service::{Service, body, until};
use pulse_domain::alert::{AlertChange, Cause};
use pulse_domain::ids::DeviceId;
use pulse_ui_api::metrics::DEFINITIONS;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_shows_zero_from_the_first_scrape() {
    let service = Service::start().await;
    let scraped = service.client.get(service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "pulse_ingest_queue_depth 0",
        "pulse_ingest_records_dropped_total 0",
        "pulse_auth_failures_total{reason=\"token_invalid\"} 0",
        "pulse_ingest_messages_total{result=\"invalid\",tenant_id=\"_unknown\"} 0",
        "pulse_processing_duration_seconds_count{operation=\"ingest_write\",service=\"ui_api\"} 0",
    ] {
        assert!(scraped.lines().any(|own| own == line), "{line} in\n{scraped}");
    }
    let batch = [("method", "POST"), ("path_template", "/ingest/v1/batch"), ("status_code", "202")];
    assert!(service.value("pulse_http_requests_total", &batch) == 0.0);
    assert!(service.telemetry.complaints().is_empty(), "{:?}", service.telemetry.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_template_and_strangers_make_no_series() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    for seq in 0..3 {
        service.send("acme/device/d1", &owner.device_token, body(seq)).await;
    }
    for stranger in 0..5 {
        service.send(&format!("t{stranger}/device/d{stranger}"), "x", body(1)).await;
        service.call(Method::GET, &format!("/nowhere/{stranger}"), "x", None).await;
        service.call(Method::from_bytes(format!("M{stranger}").as_bytes()).unwrap(), "/", "x", None).await;
    }
    let template = "/ingest/v1/tenant/{tenant_id}/device/{device_id}/telemetry";
    for (method, template, status, count) in [
        ("POST", template, "202", 3.0),
        ("POST", template, "403", 5.0),
        ("GET", "unmatched", "404", 5.0),
        ("_OTHER", "/", "405", 5.0),
        ("POST", "/api/v1/tenants", "201", 1.0),
        ("POST", "/api/v1/tenants/{tenant_id}/devices", "201", 1.0),
    ] {
        let labels = [("method", method), ("path_template", template), ("status_code", status)];
        assert!(service.value("pulse_http_requests_total", &labels) == count, "{labels:?}");
        assert!(service.value("pulse_http_request_duration_seconds_count", &labels) == count, "{labels:?}");
    }
    let unknown = [("tenant_id", "_unknown"), ("result", "unregistered_device")];
    assert!(service.value("pulse_ingest_messages_total", &unknown) == 5.0);
    let of_strangers = |labels: &BTreeMap<String, String>| labels["tenant_id"].starts_with('t');
    assert!(!service.telemetry.series("pulse_ingest_messages_total").iter().any(|(labels, _)| of_strangers(labels)));
    assert!(service.telemetry.complaints().is_empty(), "{:?}", service.telemetry.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_counted() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let alert = alert(&owner.tenant_id, &DeviceId::parse("d1").unwrap(), &crate::service::site("site-1"));
    let change = AlertChange::Open { alert: Box::new(alert.clone()), cause: Cause::default() };
    service.store.apply_alert_changes(&owner.tenant_id, &[change], alert.created_at).await.unwrap();
    until("the fleet's gauges", async || service.telemetry.value("pulse_fleet_active_alerts", &[("tenant_id", "acme")]) == Some(1.0)).await;
    let status = |status| service.value("pulse_fleet_devices_by_status", &[("tenant_id", "acme"), ("status", status)]);
    assert!(status("UNKNOWN") == 1.0 && status("ONLINE") == 0.0 && status("STALE") == 0.0);
    assert!(service.messages("acme", "accepted") == 0.0);
    service.store.close().await;
    until("the gauges to go", async || service.telemetry.series("pulse_fleet_active_alerts").is_empty()).await;
    assert!(service.telemetry.series("pulse_fleet_devices_by_status").is_empty(), "absent rather than stale");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_while_it_can_write() {
    let service = Service::start().await;
    let ready = async || service.client.get(service.url("/ready")).send().await.unwrap().status();
    assert_eq!(ready().await, 200);
    assert_eq!(service.client.get(service.url("/health")).send().await.unwrap().status(), 200);
    let start: serde_json::Value = service.client.get(service.url("/")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&start["service"], &start["api"]), (&json!("pulse"), &json!("/api/openapi.json")));
    service.store.close().await;
    until("it to be unready", async || ready().await == 503).await;
}

#[test]
fn definitions_are_distinct_and_named_for_pulse() {
    let mut names: Vec<_> = DEFINITIONS.iter().map(|definition| definition.name).collect();
    assert!(names.iter().all(|name| name.starts_with("pulse_")));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), DEFINITIONS.len());
}
