//! The setup: makes what a simulation needs through the API, as an operator would. Twice is as good as once: what is there already is
//! used, its devices get new tokens (the old ones cannot be read back), and the integrations are pointed at the sink of this run.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use pulse_domain::credential::SecretToken;
use pulse_domain::ids::{DeviceId, IntegrationId, InvalidName, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::fleet::rules::demo_rules;
use crate::fleet::{Profile, profile};
use crate::wire::{DeviceAccess, FleetAccess};

mod api;

use api::Api;

/// A fleet to register.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The server's base URL.
    pub url: String,
    /// An operator's.
    pub token: SecretToken,
    pub tenant: TenantId,
    pub devices: u32,
}

/// What to make besides, and where.
#[derive(Debug, Clone)]
pub struct SetupPlan {
    pub registration: Registration,
    /// The sink's.
    pub webhook_url: String,
    /// The sink's.
    pub signing_secret: SecretToken,
    /// The sink's.
    pub slack_url: String,
}

/// Devices registered in one request.
const BULK_DEVICES: usize = 500;
/// Requests in flight where there is one for each device.
const CONCURRENT: usize = 16;
/// What the integrations and routes are called, and found by in a later run.
const WEBHOOK_NAME: &str = "Simulator webhook";
const SLACK_NAME: &str = "Simulator chat";

/// Makes the tenant, the demo's rules, the integrations with their routes, and the devices; hands out the devices' tokens.
pub async fn setup(plan: &SetupPlan) -> Result<FleetAccess> {
    let Registration { url, token, tenant, devices } = &plan.registration;
    let api = Api::new(url, token.clone())?;
    let own = make_tenant(&api, tenant).await?;
    make_rules(&api, &own).await?;
    let webhook = json!({ "kind": "webhook", "url": plan.webhook_url, "signing_secret": plan.signing_secret.reveal() });
    make_destination(&api, &own, WEBHOOK_NAME, &webhook).await?;
    make_destination(&api, &own, SLACK_NAME, &json!({ "kind": "slack", "url": plan.slack_url })).await?;
    make_devices(&api, &own, tenant, *devices).await
}

/// Makes the tenant and the devices only, which is all that a [`crate::load`] takes; hands out the devices' tokens.
pub async fn register(registration: &Registration) -> Result<FleetAccess> {
    let api = Api::new(&registration.url, registration.token.clone())?;
    let own = make_tenant(&api, &registration.tenant).await?;
    make_devices(&api, &own, &registration.tenant, registration.devices).await
}

/// The path of what is the tenant's own.
async fn make_tenant(api: &Api, tenant: &TenantId) -> Result<String> {
    api.post_unless_there("/tenants", &json!({ "tenant_id": tenant, "name": "Simulated fleet" })).await?;
    Ok(format!("/tenants/{tenant}"))
}

/// The rules that are not there yet, by name: one that was changed since stays as it is.
async fn make_rules(api: &Api, own: &str) -> Result<()> {
    let path = format!("{own}/rules");
    let there: HashSet<String> = api.list::<Named>(&path).await?.into_iter().map(|rule| rule.name).collect();
    let mut missing = demo_rules();
    missing.retain(|rule| !rule["name"].as_str().is_some_and(|name| there.contains(name)));
    for rule in missing {
        api.post::<Value>(&path, &rule).await?;
    }
    Ok(())
}

/// An integration, pointed at this run's sink, and a route that sends it every event.
async fn make_destination(api: &Api, own: &str, name: &str, destination: &Value) -> Result<()> {
    let path = format!("{own}/integrations");
    let body = json!({ "name": name, "enabled": true, "destination": destination });
    let there = api.list::<IntegrationNamed>(&path).await?.into_iter().find(|integration| integration.name == name);
    let integration_id = match there {
        Some(there) => {
            api.put(&format!("{path}/{}", there.integration_id), &body).await?;
            there.integration_id
        }
        None => api.post::<IntegrationNamed>(&path, &body).await?.integration_id,
    };
    let path = format!("{own}/routes");
    if api.list::<RouteTo>(&path).await?.iter().any(|route| route.integration_id == integration_id) {
        return Ok(());
    }
    api.post::<Value>(&path, &json!({ "name": name, "integration_id": integration_id })).await.map(drop)
}

/// Every device of the fleet with a token that is good: new ones are registered, known ones get a new token.
async fn make_devices(api: &Api, own: &str, tenant: &TenantId, devices: u32) -> Result<FleetAccess> {
    let path = format!("{own}/devices");
    let profiles = (0..devices).map(profile).collect::<std::result::Result<Vec<_>, InvalidName>>();
    let profiles = profiles.map_err(|error| Error::Plan(error.to_string()))?;
    let there: HashSet<DeviceId> = api.list::<DeviceNamed>(&path).await?.into_iter().map(|device| device.device_id).collect();
    let (known, new): (Vec<&Profile>, Vec<&Profile>) = profiles.iter().partition(|profile| there.contains(&profile.device_id));
    let mut tokens: HashMap<DeviceId, SecretToken> = HashMap::with_capacity(profiles.len());
    for part in new.chunks(BULK_DEVICES) {
        let devices: Vec<Value> = part.iter().map(|profile| device_body(profile)).collect();
        let made: Bulk = api.post(&format!("{path}/bulk"), &json!({ "devices": devices })).await?;
        tokens.extend(made.devices.into_iter().map(|device| (device.device_id, SecretToken::from_text(device.token))));
    }
    let known: Vec<DeviceId> = known.into_iter().map(|profile| profile.device_id.clone()).collect();
    let renewed = stream::iter(known).map(|device_id| renew(api, &path, device_id));
    let renewed: Vec<_> = renewed.buffer_unordered(CONCURRENT).try_collect().await?;
    tokens.extend(renewed);
    let devices = profiles.into_iter().map(|profile| access(profile, &tokens)).collect::<Result<Vec<_>>>()?;
    tracing::info!(%tenant, devices = devices.len(), "the simulated fleet is registered");
    Ok(FleetAccess { tenant_id: tenant.clone(), devices })
}

/// A new token for a device; the old one is void.
async fn renew(api: &Api, path: &str, device_id: DeviceId) -> Result<(DeviceId, SecretToken)> {
    let made: Token = api.post(&format!("{path}/{device_id}/token"), &json!({})).await?;
    Ok((device_id, SecretToken::from_text(made.token)))
}

fn device_body(profile: &Profile) -> Value {
    json!({
        "device_id": profile.device_id,
        "site_id": profile.site_id,
        "device_type": profile.kind.device_type(),
        "group_ids": [profile.group_id],
    })
}

fn access(profile: Profile, tokens: &HashMap<DeviceId, SecretToken>) -> Result<DeviceAccess> {
    let token = tokens.get(&profile.device_id).cloned().ok_or_else(|| Error::Answer {
        what: "registering the fleet".into(),
        detail: format!("there is no token for {}", profile.device_id),
    })?;
    Ok(DeviceAccess { device_id: profile.device_id, site_id: profile.site_id, token })
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct IntegrationNamed {
    integration_id: IntegrationId,
    name: String,
}

#[derive(Deserialize)]
struct RouteTo {
    integration_id: IntegrationId,
}

#[derive(Deserialize)]
struct DeviceNamed {
    device_id: DeviceId,
}

#[derive(Deserialize)]
struct Bulk {
    devices: Vec<WithToken>,
}

#[derive(Deserialize)]
struct WithToken {
    device_id: DeviceId,
    token: String,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}
