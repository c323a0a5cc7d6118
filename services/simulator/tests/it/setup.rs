//! The setup against a fake of the API: everything is made once, and a second run gets along with what the first one made.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Json, Router};
use pulse_domain::credential::SecretToken;
use pulse_domain::ids::{IntegrationId, RouteId, RuleId, TenantId};
use pulse_domain::integration::Destination;
use pulse_domain::route::RouteSpec;
use pulse_domain::rule::RuleSpec;
use pulse_runtime::Shutdown;
use pulse_simulator::setup::{Registration, SetupPlan, register, setup};
use pulse_simulator::{SimulateSettings, simulate};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::server::{Doors, router};

/// What the fake API holds, and how it was asked.
#[derive(Debug, Default)]
struct Held {
    tenants: Vec<String>,
    /// Device and token.
    devices: BTreeMap<String, String>,
    rules: Vec<Value>,
    integrations: Vec<Value>,
    routes: Vec<Value>,
    /// Answers 503 to so many requests first.
    busy: u32,
    bulk_sizes: Vec<usize>,
}

type Api = State<Arc<Mutex<Held>>>;

fn problem(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"type": "about:blank", "title": "No", "detail": detail, "code": "NO"}))).into_response()
}

async fn make_tenant(State(held): Api, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut held = held.lock().unwrap();
    if held.busy > 0 {
        held.busy -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if headers["authorization"] != "Bearer operator-token" {
        return problem(StatusCode::UNAUTHORIZED, "who are you");
    }
    let tenant = body["tenant_id"].as_str().unwrap().to_owned();
    if held.tenants.contains(&tenant) {
        return problem(StatusCode::CONFLICT, "it is there");
    }
    held.tenants.push(tenant);
    (StatusCode::CREATED, Json(body)).into_response()
}

/// Pages of 50, whatever was asked for.
async fn devices(State(held): Api, Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let held = held.lock().unwrap();
    let after = query.get("after").cloned().unwrap_or_default();
    let items: Vec<Value> = held.devices.keys().filter(|id| **id > after).take(50).map(|id| json!({"device_id": id})).collect();
    let next = if items.len() == 50 { items.last().map(|item| item["device_id"].clone()) } else { None };
    Json(json!({"items": items, "next": next}))
}

async fn make_devices(State(held): Api, Json(body): Json<Value>) -> Response {
    let mut held = held.lock().unwrap();
    let mut made = Vec::new();
    let devices = body["devices"].as_array().unwrap();
    held.bulk_sizes.push(devices.len());
    for device in devices {
        let id = device["device_id"].as_str().unwrap().to_owned();
        assert!(device["site_id"].is_string() && device["device_type"].is_string() && device["group_ids"].is_array());
        if held.devices.contains_key(&id) {
            return problem(StatusCode::CONFLICT, &format!("{id} is there"));
        }
        made.push(json!({"device_id": id, "token": format!("first-{id}")}));
        held.devices.insert(id.clone(), format!("first-{id}"));
    }
    (StatusCode::CREATED, Json(json!({"devices": made}))).into_response()
}

async fn renew_token(State(held): Api, Path((_tenant, device)): Path<(String, String)>) -> Json<Value> {
    let token = format!("second-{device}");
    held.lock().unwrap().devices.insert(device, token.clone());
    Json(json!({"token": token}))
}

fn list(rows: &[Value]) -> Json<Value> {
    Json(json!({"items": rows, "next": null}))
}

fn with_id(body: &Value, name: &str, id: String) -> Value {
    let mut made = body.clone();
    made[name] = id.into();
    made
}

async fn rules(State(held): Api) -> Json<Value> {
    list(&held.lock().unwrap().rules)
}

async fn make_rule(State(held): Api, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    serde_json::from_value::<RuleSpec>(body.clone()).unwrap().validate().unwrap();
    let made = with_id(&body, "rule_id", RuleId::generate().to_string());
    held.lock().unwrap().rules.push(made.clone());
    (StatusCode::CREATED, Json(made))
}

async fn integrations(State(held): Api) -> Json<Value> {
    list(&held.lock().unwrap().integrations)
}

async fn make_integration(State(held): Api, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    serde_json::from_value::<Destination>(body["destination"].clone()).unwrap();
    let made = with_id(&body, "integration_id", IntegrationId::generate().to_string());
    held.lock().unwrap().integrations.push(made.clone());
    (StatusCode::CREATED, Json(made))
}

async fn change_integration(State(held): Api, Path((_tenant, id)): Path<(String, String)>, Json(body): Json<Value>) -> Json<Value> {
    let changed = with_id(&body, "integration_id", id.clone());
    let mut held = held.lock().unwrap();
    let own = held.integrations.iter_mut().find(|own| own["integration_id"] == id.as_str()).unwrap();
    own.clone_from(&changed);
    Json(changed)
}

async fn routes(State(held): Api) -> Json<Value> {
    list(&held.lock().unwrap().routes)
}

async fn make_route(State(held): Api, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    serde_json::from_value::<RouteSpec>(body.clone()).unwrap();
    let made = with_id(&body, "route_id", RouteId::generate().to_string());
    held.lock().unwrap().routes.push(made.clone());
    (StatusCode::CREATED, Json(made))
}

async fn serve(held: Arc<Mutex<Held>>, doors: Arc<Doors>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = Router::new()
        .route("/devices", axum::routing::get(devices))
        .route("/devices/bulk", post(make_devices))
        .route("/devices/{device}/token", post(renew_token))
        .route("/rules", post(make_rule).get(rules))
        .route("/integrations", post(make_integration).get(integrations))
        .route("/integrations/{id}", put(change_integration))
        .route("/routes", post(make_route).get(routes));
    let api = Router::new().route("/api/v1/tenants", post(make_tenant)).nest("/api/v1/tenants/{tenant}", own).with_state(held);
    tokio::spawn(async move { axum::serve(listener, api.merge(router(doors))).await.unwrap() });
    address
}

fn plan(address: SocketAddr, devices: u32, sink: &str) -> SetupPlan {
    let registration = Registration {
        url: format!("http://{address}"),
        token: SecretToken::from_text("operator-token"),
        tenant: TenantId::parse("demo").unwrap(),
        devices,
    };
    SetupPlan {
        registration,
        webhook_url: format!("http://{sink}/webhook"),
        signing_secret: SecretToken::from_text(format!("whsec_{sink}")),
        slack_url: format!("http://{sink}/slack"),
    }
}

#[tokio::test]
async fn everything_is_made_once_and_pointed_at_the_sink_of_the_day() {
    let held = Arc::new(Mutex::new(Held { busy: 2, ..Held::default() }));
    let address = serve(Arc::clone(&held), Arc::default()).await;
    let first = setup(&plan(address, 700, "first")).await.unwrap();
    let second = setup(&plan(address, 710, "second")).await.unwrap();

    let held = held.lock().unwrap();
    assert_eq!((held.tenants.as_slice(), held.rules.len(), held.routes.len()), (&["demo".to_owned()][..], 6, 2));
    assert_eq!(held.bulk_sizes, [500, 200, 10]);
    let urls: Vec<_> = held.integrations.iter().map(|own| own["destination"]["url"].as_str().unwrap()).collect();
    assert_eq!(urls, ["http://second/webhook", "http://second/slack"]);
    assert_eq!(held.integrations[0]["destination"]["signing_secret"], "whsec_second");
    let routed: Vec<_> = held.routes.iter().map(|route| &route["integration_id"]).collect();
    assert_eq!(routed, held.integrations.iter().map(|own| &own["integration_id"]).collect::<Vec<_>>());

    assert_eq!((first.devices.len(), second.devices.len(), held.devices.len()), (700, 710, 710));
    assert_eq!(first.devices[3].token.reveal(), "first-tracker-00003");
    for device in &second.devices {
        assert_eq!(device.token.reveal(), held.devices[device.device_id.as_str()], "the token that is good now");
    }
}

#[tokio::test]
async fn a_load_needs_devices_and_nothing_else() {
    let held = Arc::new(Mutex::new(Held::default()));
    let address = serve(Arc::clone(&held), Arc::default()).await;
    let access = register(&plan(address, 5, "sink").registration).await.unwrap();
    let held = held.lock().unwrap();
    assert_eq!((access.devices.len(), held.devices.len(), held.tenants.len()), (5, 5, 1));
    assert!(held.rules.is_empty() && held.integrations.is_empty() && held.routes.is_empty());
}

#[tokio::test]
async fn a_refusal_is_told_without_the_token() {
    let address = serve(Arc::default(), Arc::default()).await;
    let mut plan = plan(address, 1, "sink");
    plan.registration.token = SecretToken::from_text("wrong-token");
    let error = setup(&plan).await.unwrap_err();
    assert_eq!(error.to_string(), "POST /api/v1/tenants: the server answered 401: No: who are you");
    assert!(!format!("{error:?} {plan:?}").contains("wrong-token"));
}

#[tokio::test]
async fn a_whole_simulation_runs_from_the_first_request_to_the_report() {
    let (held, doors) = (Arc::new(Mutex::new(Held::default())), Arc::new(Doors::default()));
    *doors.tokens.lock().unwrap() = "first-{device}";
    let address = serve(Arc::clone(&held), Arc::clone(&doors)).await;
    let mut settings = SimulateSettings::new(format!("http://{address}"), SecretToken::from_text("operator-token"));
    settings.devices = 30;
    settings.duration = Some(Duration::from_secs(1));
    settings.settle = Duration::ZERO;
    let report = simulate(&settings, &Shutdown::new()).await.unwrap();
    assert_eq!((report.fleet.accepted, report.fleet.rejected), (30, 0), "{report:?}");
    assert_eq!(doors.taken.lock().unwrap().len(), 30);
    let url = held.lock().unwrap().integrations[0]["destination"]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/webhook"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["fleet"]["accepted"], &json["sink"]["delivered"]), (&json!(30), &json!(0)));
}

#[tokio::test]
async fn shutdown_ends_a_setup_that_waits_for_a_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settings = SimulateSettings::new(format!("http://{address}"), SecretToken::from_text("operator-token"));
    let shutdown = Shutdown::new();
    let waiting = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { simulate(&settings, &shutdown).await }
    });
    shutdown.trigger();
    let error = waiting.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "registering the fleet: stopped before it was done");
}
