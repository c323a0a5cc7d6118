//! Tenants cannot see or touch each other, and roles hold: on every route that the OpenAPI document lists, so that a new one cannot be
//! forgotten.

use std::time::Duration;

use pulse_domain::alert::{AlertChange, Cause};
use pulse_domain::ids::{DeviceId, IntegrationId, JobId, RouteId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, ErrorKind, NewJob, Verdict};
use pulse_domain::payload::Payload;
use pulse_store::{AttemptRecord, Claim};
use reqwest::Method;
use serde_json::{Value, json};

use crate::openapi::{alert, document, operations};
use crate::service::{Owner, Service, body, message, site};

const TENANT: &str = "/api/v1/tenants/{tenant_id}";

/// A tenant that has one of everything: the names of path parameters, and what they are here.
pub(crate) async fn furnish(service: &Service, owner: &Owner) -> Vec<(&'static str, String)> {
    let base = format!("/api/v1/tenants/{}", owner.tenant_id);
    let make = async |path: &str, body: Value, id: &str| -> String {
        service.ok(Method::POST, &format!("{base}/{path}"), Some(&body)).await[id].as_str().unwrap().to_owned()
    };
    let rule = json!({"name": "hot", "severity": 3, "metric_name": "temp", "operator": "GT", "threshold": 80});
    let rule_id = make("rules", rule, "rule_id").await;
    let hook = json!({"name": "hook", "destination": {"kind": "webhook", "url": "https://example.com/hook"}});
    let integration_id = make("integrations", hook, "integration_id").await;
    let route_id = make("routes", json!({"name": "all", "integration_id": integration_id}), "route_id").await;
    let policy_id = make("escalation-policies", json!({"name": "p", "levels": [{"after_seconds": 60}]}), "policy_id").await;
    let token_id = make("tokens", json!({"name": "t", "role": "viewer"}), "token_id").await;
    let alert = alert(&owner.tenant_id, &DeviceId::parse("d1").unwrap(), &site("site-1"));
    let (alert_id, now) = (alert.alert_id, alert.created_at);
    let change = AlertChange::Open { alert: Box::new(alert), cause: Cause::default() };
    service.store.apply_alert_changes(&owner.tenant_id, &[change], now).await.unwrap();
    let job_id = dead_job(service, owner, integration_id.parse().unwrap(), route_id.parse().unwrap()).await;
    vec![
        ("tenant_id", owner.tenant_id.to_string()),
        ("device_id", "d1".to_owned()),
        ("rule_id", rule_id),
        ("integration_id", integration_id),
        ("route_id", route_id),
        ("policy_id", policy_id),
        ("token_id", token_id),
        ("alert_id", alert_id.to_string()),
        ("job_id", job_id.to_string()),
    ]
}

/// The job of the tenant's one event, tried once and given up.
async fn dead_job(service: &Service, owner: &Owner, integration_id: IntegrationId, route_id: RouteId) -> JobId {
    let now = pulse_runtime::Clock::system().now();
    let claim = Claim { now, limit: 10, lease: Duration::from_secs(60) };
    let events = service.store.claim_events(claim).await.unwrap();
    let event = events.events.iter().find(|event| event.alert.tenant_id == owner.tenant_id).unwrap();
    let job = NewJob {
        tenant_id: owner.tenant_id.clone(),
        job_id: JobId::generate(),
        event_id: event.event_id,
        route_id,
        integration_id,
        queue: Queue::Integration,
        payload: Payload::of(&json!({"secret of": owner.tenant_id})),
        run_at: now,
        origin_at: None,
        trace: None,
    };
    let job_id = job.job_id;
    let key = (owner.tenant_id.clone(), event.event_id);
    service.store.commit_dispatch(events.lease, &[key], &[job], now).await.unwrap();
    let claimed = service.store.claim_jobs(Queue::Integration, claim, &[]).await.unwrap();
    let attempt = Attempt {
        job_id,
        attempt: 1,
        started_at: now,
        finished_at: now,
        error: Some(ErrorKind::Refused),
        http_status: Some(410),
        detail: Some("gone".into()),
    };
    let record = AttemptRecord { tenant_id: owner.tenant_id.clone(), lease: claimed.lease, attempt, verdict: Verdict::Dead, trace: None };
    assert_eq!(service.store.record_attempts(&[record], now).await.unwrap().lost, [0; 0]);
    job_id
}

fn fill(template: &str, ids: &[(&'static str, String)]) -> String {
    let filled = ids.iter().fold(template.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
    assert!(!filled.contains('{'), "{filled} has a parameter that this test does not know: add it to what a tenant has");
    filled
}

/// A body that would do something, if it were let in.
fn harmful(method: &str, path: &str, ids: &[(&'static str, String)]) -> Option<Value> {
    let id = |name| ids.iter().find(|(own, _)| *own == name).unwrap().1.clone();
    let rule = json!({"name": "changed", "severity": 1, "metric_name": "temp", "operator": "LT", "threshold": 0});
    match (method, path.strip_prefix(TENANT)) {
        ("GET" | "DELETE", _) => None,
        (_, Some(path)) if path.starts_with("/rules") => Some(rule),
        (_, Some("/devices")) => Some(json!({"device_id": "intruder", "site_id": "site-1"})),
        (_, Some("/devices/bulk")) => Some(json!({"devices": [{"device_id": "intruder", "site_id": "site-1"}]})),
        ("PATCH", Some("/devices/{device_id}")) => Some(json!({"lifecycle": "REVOKED"})),
        (_, Some(path)) if path.starts_with("/integrations") => {
            Some(json!({"name": "changed", "destination": {"kind": "webhook", "url": "https://evil.example/"}}))
        }
        (_, Some(path)) if path.starts_with("/routes") => Some(json!({"name": "changed", "integration_id": id("integration_id")})),
        (_, Some("/escalation-policies")) => Some(json!({"name": "changed", "levels": [{"after_seconds": 1}]})),
        (_, Some("/tokens")) => Some(json!({"name": "intruder", "role": "admin"})),
        (_, Some("/alerts/{alert_id}/silence")) => Some(json!({"minutes": 60})),
        (_, Some(_)) => None,
        (_, None) if path.ends_with("/tenants") => Some(json!({"tenant_id": "intruder"})),
        (_, None) => Some(json!({"name": "intruder"})),
    }
}

/// All that a tenant has, as its operator sees it.
async fn state(service: &Service, ids: &[(&'static str, String)]) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["", "/devices", "/rules", "/integrations", "/routes", "/escalation-policies", "/tokens", "/alerts", "/jobs"] {
        seen.push(service.ok(Method::GET, &fill(&format!("{TENANT}{path}"), ids), None).await);
    }
    seen.push(service.ok(Method::GET, &fill(&format!("{TENANT}/alerts/{{alert_id}}/events"), ids), None).await);
    seen.push(service.ok(Method::GET, "/api/v1/tenants", None).await);
    seen.push(service.ok(Method::GET, "/api/v1/tokens", None).await);
    seen
}

fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_guarded() {
    let service = Service::start().await;
    let acme = service.tenant("acme").await;
    let beta = service.tenant("beta").await;
    let ids = furnish(&service, &acme).await;
    let before = state(&service, &ids).await;
    let mut guarded = 0;
    for (verb, template) in operations(&document(&service).await) {
        if template.starts_with("/ingest/v1/") {
            continue;
        }
        assert!(template.starts_with("/api/v1/"), "{template} belongs to no group that this test knows");
        let path = fill(&template, &ids);
        let body = harmful(&verb, &template, &ids);
        let of_tenant = template.starts_with(TENANT);
        let foreign = if of_tenant { (404, "NOT_FOUND") } else { (403, "FORBIDDEN") };
        let table = [
            ("no token at all", "", (401, "UNAUTHENTICATED")),
            ("a made-up token", "pulse_op_0123", (401, "UNAUTHENTICATED")),
            ("a device's token", acme.device_token.as_str(), (401, "UNAUTHENTICATED")),
            ("another tenant's admin", beta.admin.as_str(), foreign),
            ("another tenant's viewer", beta.viewer.as_str(), foreign),
        ];
        for (who, token, expected) in table {
            let answer = service.call(method(&verb), &path, token, body.as_ref()).await;
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), expected, "{verb} {template} with {who}: {answer:?}");
        }
        if !of_tenant || verb != "GET" {
            let answer = service.call(method(&verb), &path, &acme.viewer, body.as_ref()).await;
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "FORBIDDEN"), "{verb} {template} with a viewer");
        } else {
            let answer = service.call(method(&verb), &path, &acme.viewer, body.as_ref()).await;
            assert_eq!(answer.status.as_u16(), 200, "{verb} {template} with a viewer: {answer:?}");
        }
        guarded += 1;
    }
    assert!(guarded > 30, "{guarded}");
    assert_eq!(state(&service, &ids).await, before, "nothing has changed");
    for reason in ["bearer_missing", "bearer_invalid", "other_tenant", "forbidden"] {
        assert!(service.value("pulse_auth_failures_total", &[("reason", reason)]) >= 10.0, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_name_nothing_under_ones_own_path() {
    let service = Service::start().await;
    let acme = service.tenant("acme").await;
    let beta = service.tenant("beta").await;
    let ids = furnish(&service, &acme).await;
    service.device("acme", "only-acmes").await;
    let before = state(&service, &ids).await;
    let mut own_path: Vec<(&'static str, String)> = ids.clone();
    for (name, id) in &mut own_path {
        match *name {
            "tenant_id" => *id = beta.tenant_id.to_string(),
            "device_id" => *id = "only-acmes".to_owned(),
            _ => {}
        }
    }
    let mut tried = 0;
    for (verb, template) in operations(&document(&service).await) {
        let names_something = template.strip_prefix(TENANT).is_some_and(|rest| rest.contains('{'));
        if !names_something {
            continue;
        }
        let body = harmful(&verb, &template, &ids);
        let answer = service.call(method(&verb), &fill(&template, &own_path), &beta.admin, body.as_ref()).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (404, "NOT_FOUND"), "{verb} {template}: {answer:?}");
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
    let theirs = &ids.iter().find(|(name, _)| *name == "integration_id").unwrap().1;
    let route = json!({"name": "tap", "integration_id": theirs});
    let tapped = service.call(Method::POST, "/api/v1/tenants/beta/routes", &beta.admin, Some(&route)).await;
    assert_eq!((tapped.status.as_u16(), tapped.problem().as_str()), (422, "VALIDATION_FAILED"), "a route to another's integration");
    for path in ["devices", "rules", "integrations", "routes", "escalation-policies", "alerts", "jobs"] {
        let listed = service.call(Method::GET, &format!("/api/v1/tenants/beta/{path}"), &beta.viewer, None).await;
        let expected = if path == "devices" { 1 } else { 0 };
        assert_eq!(listed.json()["items"].as_array().unwrap().len(), expected, "{path}: {listed:?}");
        assert!(!listed.text.contains("acme"), "{listed:?}");
    }
    assert_eq!(state(&service, &ids).await, before, "nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_one_tenant_open_no_door_of_another() {
    let service = Service::start().await;
    let acme = service.tenant("acme").await;
    let beta = service.tenant("beta").await;
    assert_eq!(service.send("beta/device/d1", &acme.device_token, body(1)).await.problem(), "TOKEN_INVALID");
    assert_eq!(service.send("beta/device/d1", &beta.admin, body(1)).await.problem(), "TOKEN_INVALID");
    let batch = json!({"messages": [message("beta", "d1", &acme.device_token, 1), message("beta", "d1", &service.operator, 1)]});
    assert_eq!(service.batch(batch.to_string()).await.json()["rejected"], 2);
    assert!(service.readings("beta", "d1").await.is_empty());
}
