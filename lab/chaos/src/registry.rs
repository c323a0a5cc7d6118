//! What is set up before anything is reported: a tenant with its devices, rules, receiver and routes.

use anyhow::{Context as _, Result};
use pulse_simulator::sink::Sink;
use serde_json::{Value, json};

use crate::api::Api;
use crate::load::{Device, METRICS, THRESHOLD};
use crate::scale::Scale;

/// The tenant that everything belongs to.
pub const TENANT: &str = "acme";
/// Devices registered at once.
const REGISTER_MAX: usize = 200;

/// Who hears of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Hears of everything.
    All,
    /// Hears of severe alerts that open.
    Urgent,
}

impl Route {
    const EVERY: [Self; 2] = [Self::All, Self::Urgent];
    /// The least severity of the urgent ones.
    const URGENT_SEVERITY: u64 = 4;

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Urgent => "urgent",
        }
    }

    /// The route of this name.
    pub fn named(name: &str) -> Result<Self> {
        Self::EVERY.into_iter().find(|route| route.name() == name).with_context(|| format!("there is no route {name:?}"))
    }

    /// Whether it hears of such an event.
    pub fn wants(self, kind: &str, severity: u64) -> bool {
        match self {
            Self::All => true,
            Self::Urgent => kind == "OPEN" && severity >= Self::URGENT_SEVERITY,
        }
    }

    fn spec(self, integration_id: &Value) -> Value {
        match self {
            Self::All => json!({"name": self.name(), "integration_id": integration_id}),
            Self::Urgent => json!({"name": self.name(), "integration_id": integration_id, "deliver_on": ["OPEN"],
                                   "min_severity": Self::URGENT_SEVERITY}),
        }
    }
}

/// The tenant with its devices, rules, receiver and routes; the devices of each gateway.
pub(crate) async fn register(api: &Api, sink: &Sink, scale: &Scale) -> Result<Vec<Vec<Device>>> {
    let path = |list: &str| format!("/api/v1/tenants/{TENANT}/{list}");
    api.post("/api/v1/tenants", &json!({"tenant_id": TENANT, "name": "Acme"})).await?;
    for metric in &METRICS {
        let rule =
            json!({"name": metric.name, "severity": metric.severity, "metric_name": metric.name, "operator": "GT", "threshold": THRESHOLD});
        api.post(&path("rules"), &rule).await?;
    }
    let destination = json!({"kind": "webhook", "url": sink.webhook_url(), "signing_secret": sink.signing_secret().reveal()});
    let integration = api.post(&path("integrations"), &json!({"name": "sink", "destination": destination})).await?;
    for route in Route::EVERY {
        api.post(&path("routes"), &route.spec(&integration["integration_id"])).await?;
    }
    let sizes = (0..scale.gateways).map(|number| if number == 0 { 1 } else { scale.gateway_devices as usize });
    let sizes: Vec<usize> = sizes.collect();
    let devices: Vec<Value> = (0..sizes.iter().sum())
        .map(|number: usize| json!({"device_id": format!("d{number:05}"), "site_id": "s1", "device_type": "freezer"}))
        .collect();
    let mut made = Vec::new();
    for devices in devices.chunks(REGISTER_MAX) {
        let answer = api.post(&path("devices/bulk"), &json!({"devices": devices})).await?;
        for device in answer["devices"].as_array().context("no devices were made")? {
            let field = |name: &str| device[name].as_str().map(str::to_owned).with_context(|| format!("a device has no {name}"));
            made.push(Device { device_id: field("device_id")?, token: field("token")? });
        }
    }
    let mut made = made.into_iter();
    Ok(sizes.iter().map(|size| made.by_ref().take(*size).collect()).collect())
}
