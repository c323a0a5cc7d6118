//! The document says what there is, and what it says of the domain's types is true.

use chrono::Utc;
use pulse_domain::alert::{Alert, AlertEvent, AlertStatus, AlertType, EventKind, Fingerprint};
use pulse_domain::credential::{ApiToken, Role};
use pulse_domain::device::{Device, DeviceStatus, Lifecycle, Tenant};
use pulse_domain::escalation::{Level, Policy, PolicySpec};
use pulse_domain::ids::*;
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, ErrorKind, Job, JobState};
use pulse_domain::reading::{Metrics, Reading, ReadingKind};
use pulse_domain::route::{Route, RouteSpec};
use pulse_domain::rule::{Condition, MatchMode, Operator, Rule, RuleSpec, RuleType, Severity};
use serde::Serialize;
use serde_json::{Value, json};

use crate::service::Service;

pub(crate) async fn document(service: &Service) -> Value {
    service.client.get(service.url("/api/openapi.json")).send().await.unwrap().json().await.unwrap()
}

/// `METHOD path` of every operation.
pub(crate) fn operations(document: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            found.push((method.to_ascii_uppercase(), path.clone()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_listed() {
    let service = Service::start().await;
    let document = document(&service).await;
    assert_eq!(document["openapi"], "3.1.0");
    let listed: Vec<String> = operations(&document).into_iter().map(|(method, path)| format!("{method:6} {path}")).collect();
    insta::assert_snapshot!("routes", listed.join("\n"));
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][method.to_ascii_lowercase()];
        assert!(operation["summary"].is_string() && operation["operationId"].is_string() && operation["tags"][0].is_string(), "{path}");
        assert!(operation["responses"]["default"].is_object(), "{path}");
        let named: Vec<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|p| p["in"] == "path")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        let in_path: Vec<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(named, in_path, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reference_leads_nowhere() {
    let service = Service::start().await;
    let document = document(&service).await;
    let text = document.to_string();
    let references: Vec<&str> = text.split("\"#/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.len() > 50);
    for reference in references {
        assert!(document.pointer(&format!("/{reference}")).is_some(), "{reference}");
    }
}

/// The names of a schema's properties, those of the schemas that it is made of included.
fn properties(document: &Value, schema: &Value) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return properties(document, document.pointer(&reference[1..]).unwrap());
    }
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| properties(document, part));
    let own = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys).cloned();
    let mut all: Vec<String> = parts.chain(own).collect();
    all.sort();
    all
}

fn holds(document: &Value, name: &str, sample: &impl Serialize) {
    let sample = serde_json::to_value(sample).unwrap();
    let mut shown: Vec<String> = sample.as_object().unwrap().keys().cloned().collect();
    shown.sort();
    assert_eq!(properties(document, &document["components"]["schemas"][name]), shown, "{name}");
}

fn variants<T: Serialize>(document: &Value, name: &str, all: &[T]) {
    let mut described: Vec<String> =
        document["components"]["schemas"][name]["enum"].as_array().unwrap().iter().map(Value::to_string).collect();
    let mut serialized: Vec<String> = all.iter().map(|value| serde_json::to_string(value).unwrap()).collect();
    described.sort();
    serialized.sort();
    assert_eq!(described, serialized, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn enums_are_described_as_they_are() {
    let service = Service::start().await;
    let document = document(&service).await;
    variants(&document, "Lifecycle", &Lifecycle::ALL);
    variants(&document, "DeviceStatus", &DeviceStatus::ALL);
    variants(&document, "AlertType", &AlertType::ALL);
    variants(&document, "AlertStatus", &AlertStatus::ALL);
    variants(&document, "EventKind", &EventKind::ALL);
    variants(&document, "JobState", &JobState::ALL);
    variants(&document, "ErrorKind", &ErrorKind::ALL);
    variants(&document, "Queue", &Queue::ALL);
    variants(&document, "ReadingKind", &[ReadingKind::Telemetry, ReadingKind::Heartbeat]);
    variants(&document, "Operator", &[Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte]);
    variants(&document, "MatchMode", &[MatchMode::All, MatchMode::Any]);
    variants(&document, "RuleType", &[RuleType::Threshold]);
    variants(&document, "Role", &[Role::Operator, Role::Admin, Role::Viewer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tenants_write_is_described_as_it_is() {
    let service = Service::start().await;
    let document = document(&service).await;
    let now = Utc::now();
    let tenant_id = TenantId::parse("t").unwrap();
    let device_id = DeviceId::parse("d").unwrap();
    let site_id = SiteId::parse("s").unwrap();
    holds(&document, "Tenant", &Tenant { tenant_id: tenant_id.clone(), name: "T".into(), created_at: now });
    let device = Device {
        tenant_id: tenant_id.clone(),
        device_id: device_id.clone(),
        site_id: site_id.clone(),
        device_type: "x".into(),
        group_ids: vec![],
        lifecycle: Lifecycle::Active,
        created_at: now,
        status: DeviceStatus::Unknown,
        last_seen: None,
    };
    holds(&document, "Device", &device);
    let trace = pulse_domain::trace::TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let reading = Reading {
        reading_id: ReadingId(1),
        kind: ReadingKind::Telemetry,
        ts: now,
        received_at: now,
        site_id: site_id.clone(),
        seq: None,
        metrics: Metrics::default(),
        trace: Some(trace),
    };
    holds(&document, "Reading", &reading);
    let condition = Condition { metric_name: "t".into(), operator: Operator::Gt, threshold: 1.0, duration_seconds: 0 };
    holds(&document, "Condition", &condition);
    let spec: RuleSpec =
        serde_json::from_value(json!({"name": "r", "severity": 1, "metric_name": "t", "operator": "GT", "threshold": 1})).unwrap();
    holds(&document, "RuleSpec", &spec);
    let rule_id = RuleId::generate();
    holds(&document, "Rule", &Rule { tenant_id: tenant_id.clone(), rule_id, spec, created_at: now, updated_at: now, error: None });
    let spec: RouteSpec = serde_json::from_value(json!({"name": "r", "integration_id": IntegrationId::generate()})).unwrap();
    holds(&document, "RouteSpec", &spec);
    holds(&document, "Route", &Route { tenant_id: tenant_id.clone(), route_id: RouteId::generate(), spec, created_at: now });
    let spec = PolicySpec { name: "p".into(), enabled: true, min_severity: Severity::MIN, levels: vec![Level { after_seconds: 1 }] };
    holds(&document, "Level", &spec.levels[0]);
    holds(&document, "PolicySpec", &spec);
    holds(&document, "Policy", &Policy { tenant_id: tenant_id.clone(), policy_id: PolicyId::generate(), spec, created_at: now });
    let token = ApiToken {
        token_id: TokenId::generate(),
        tenant_id: Some(tenant_id.clone()),
        role: Role::Admin,
        name: "n".into(),
        created_at: now,
    };
    holds(&document, "ApiToken", &token);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pulse_makes_is_described_as_it_is() {
    let service = Service::start().await;
    let document = document(&service).await;
    let now = Utc::now();
    let tenant_id = TenantId::parse("t").unwrap();
    let alert = alert(&tenant_id, &DeviceId::parse("d").unwrap(), &SiteId::parse("s").unwrap());
    holds(&document, "Alert", &alert);
    let event = AlertEvent { event_id: EventId::generate(), kind: EventKind::Open, at: now, origin_at: None, trace: None, alert };
    holds(&document, "AlertEvent", &event);
    let job = Job {
        tenant_id,
        job_id: JobId::generate(),
        event_id: event.event_id,
        route_id: RouteId::generate(),
        integration_id: IntegrationId::generate(),
        queue: Queue::Integration,
        state: JobState::Pending,
        attempts: 0,
        run_at: now,
        created_at: now,
        finished_at: None,
        origin_at: None,
        payload: pulse_domain::payload::Payload::of(&json!({})),
        trace: None,
        attempt_trace: None,
        last_error: None,
    };
    holds(&document, "Job", &job);
    let attempt =
        Attempt { job_id: job.job_id, attempt: 1, started_at: now, finished_at: now, error: None, http_status: None, detail: None };
    holds(&document, "Attempt", &attempt);
}

/// An alert of a device, open.
pub(crate) fn alert(tenant_id: &TenantId, device_id: &DeviceId, site_id: &SiteId) -> Alert {
    let now = chrono::SubsecRound::trunc_subsecs(Utc::now(), 6);
    Alert {
        tenant_id: tenant_id.clone(),
        alert_id: AlertId::generate(),
        fingerprint: Fingerprint::system_health("evaluator"),
        device_id: device_id.clone(),
        site_id: site_id.clone(),
        alert_type: AlertType::SystemHealth,
        rule_id: None,
        severity: Severity::MAX,
        confidence: 1.0,
        summary: "the evaluator does not answer".into(),
        details: json!({"service": "evaluator"}),
        status: AlertStatus::Open,
        created_at: now,
        updated_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        closed_at: None,
        escalation_level: 0,
        silenced_until: None,
    }
}
