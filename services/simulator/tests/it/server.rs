//! What the tests share: a fleet that needs no registering, and a fake of the two doors.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use pulse_domain::credential::SecretToken;
use pulse_domain::ids::TenantId;
use pulse_simulator::fleet::profile;
use pulse_simulator::wire::{DeviceAccess, FleetAccess};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) fn access(devices: u32) -> Arc<FleetAccess> {
    let device = |number| {
        let profile = profile(number).unwrap();
        let token = SecretToken::from_text(format!("token-{number}"));
        DeviceAccess { device_id: profile.device_id, site_id: profile.site_id, token }
    };
    Arc::new(FleetAccess { tenant_id: TenantId::parse("demo").unwrap(), devices: (0..devices).map(device).collect() })
}

/// Both doors: takes every message, unless told to answer otherwise first.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// What the next requests are answered instead: status and Retry-After.
    pub(crate) refusals: Mutex<VecDeque<(u16, Option<u64>)>>,
    /// Batch results of devices whose next messages are refused, with the reason.
    pub(crate) refused_devices: Mutex<BTreeMap<String, VecDeque<&'static str>>>,
    /// The messages taken, in order of arrival: device and body.
    pub(crate) taken: Mutex<Vec<(String, Value)>>,
    /// How many of them came in batches.
    pub(crate) batched: Mutex<usize>,
    /// The tokens that are good, with `{device}` or `{number}` in them; empty: those of [`access`].
    pub(crate) tokens: Mutex<&'static str>,
}

impl Doors {
    fn is_good(&self, device: &str, token: &str) -> bool {
        let good = *self.tokens.lock().unwrap();
        let number: u32 = device.rsplit_once('-').unwrap().1.parse().unwrap();
        let good = if good.is_empty() { "token-{number}" } else { good };
        token == good.replace("{number}", &number.to_string()).replace("{device}", device)
    }

    fn refusal(&self) -> Option<Response> {
        let (status, retry_after) = self.refusals.lock().unwrap().pop_front()?;
        let headers: HeaderMap = retry_after.map(|s| ("retry-after".parse().unwrap(), s.into())).into_iter().collect();
        Some((StatusCode::from_u16(status).unwrap(), headers, Json(json!({"code": "unavailable"}))).into_response())
    }
}

pub(crate) async fn serve(doors: Arc<Doors>, address: Option<SocketAddr>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(address.unwrap_or(([127, 0, 0, 1], 0).into())).await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router(doors)).await.unwrap() }))
}

pub(crate) fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/ingest/v1/tenant/{tenant}/device/{device}/{kind}", post(single))
        .route("/ingest/v1/batch", post(batch))
        .with_state(doors)
}

async fn single(
    State(doors): State<Arc<Doors>>,
    Path((tenant, device, kind)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refusal) = doors.refusal() {
        return refusal;
    }
    assert!(tenant == "demo" && doors.is_good(&device, headers["x-provision-token"].to_str().unwrap()));
    assert!(kind == "telemetry" || kind == "heartbeat");
    let answer = json!({"status": "accepted", "device_id": device, "seq": body["seq"]});
    doors.taken.lock().unwrap().push((device, body));
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

async fn batch(State(doors): State<Arc<Doors>>, Json(body): Json<Value>) -> Response {
    if let Some(refusal) = doors.refusal() {
        return refusal;
    }
    let mut results = Vec::new();
    let messages = body["messages"].as_array().unwrap();
    for (index, message) in messages.iter().enumerate() {
        let device = message["device_id"].as_str().unwrap().to_owned();
        assert!(message["tenant_id"] == "demo" && doors.is_good(&device, message["provision_token"].as_str().unwrap()));
        let refused = doors.refused_devices.lock().unwrap().get_mut(&device).and_then(VecDeque::pop_front);
        let status = if refused.is_some() { "rejected" } else { "accepted" };
        results.push(json!({"index": index, "status": status, "reason": refused, "device_id": device}));
        if refused.is_none() {
            *doors.batched.lock().unwrap() += 1;
            doors.taken.lock().unwrap().push((device, message.clone()));
        }
    }
    let accepted = results.iter().filter(|result| result["status"] == "accepted").count();
    let answer = json!({"accepted": accepted, "rejected": results.len() - accepted, "results": results});
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

/// Waits until it is so, and fails the test when that takes too long.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not come about in 20 s");
}
