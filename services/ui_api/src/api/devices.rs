//! Devices and their tokens.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use pulse_domain::credential::SecretToken;
use pulse_domain::device::{Device, DeviceStatus, Lifecycle};
use pulse_domain::ids::{DeviceId, DeviceKey, GroupId, SiteId};
use pulse_store::{DeviceFilter, DeviceSpec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::DeviceQuery;
use super::{Api, check};
use crate::auth::Scope;
use crate::extract::{Filter, Ids, Json};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::Problem;

/// The most devices in one request.
const CREATE_MAX: usize = 1_000;
/// What a secret that the owner chose must have, in characters.
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 16..=256;
/// The name that the path for many devices takes from them.
const RESERVED_ID: &str = "bulk";
/// The longest device type, in characters.
const TYPE_MAX_CHARS: usize = 128;

/// A device to be
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDevice {
    #[schema(value_type = String)]
    device_id: DeviceId,
    #[schema(value_type = String)]
    site_id: SiteId,
    /// `generic` when it is not said
    #[serde(default = "generic")]
    #[schema(default = "generic")]
    device_type: String,
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    group_ids: Vec<GroupId>,
    #[serde(default = "active")]
    #[schema(value_type = schema::Lifecycle)]
    lifecycle: Lifecycle,
    /// A token that the device already carries, 16 to 256 visible characters; one is made where there is none
    token: Option<String>,
}

fn generic() -> String {
    "generic".to_owned()
}
fn active() -> Lifecycle {
    Lifecycle::Active
}

/// Devices to be
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDevices {
    /// 1 to 1,000
    devices: Vec<NewDevice>,
}

/// A device with its token, which is shown only this once
#[derive(Serialize, ToSchema)]
pub(super) struct DeviceWithToken {
    #[serde(flatten)]
    #[schema(value_type = schema::Device)]
    device: Device,
    /// What the device sends as X-Provision-Token
    token: String,
}

/// Devices with their tokens, which are shown only this once
#[derive(Serialize, ToSchema)]
pub(super) struct DevicesWithTokens {
    /// In the order of the request
    devices: Vec<DeviceWithToken>,
}

/// Registers a device; its token is shown only in this answer
#[utoipa::path(post, path = "/devices", tag = "devices", operation_id = "create_device",
    request_body = NewDevice, responses((status = 201, body = DeviceWithToken)))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Json(new): Json<NewDevice>,
) -> Result<(StatusCode, axum::Json<DeviceWithToken>), Problem> {
    let created = register(&api, &scope, vec![new]).await?.pop().ok_or_else(Problem::internal)?;
    Ok((StatusCode::CREATED, axum::Json(created)))
}

/// Registers many devices, all or none; their tokens are shown only in this answer
#[utoipa::path(post, path = "/devices/bulk", tag = "devices", operation_id = "create_devices",
    request_body = NewDevices, responses((status = 201, body = DevicesWithTokens)))]
pub(super) async fn create_bulk(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Json(NewDevices { devices }): Json<NewDevices>,
) -> Result<(StatusCode, axum::Json<DevicesWithTokens>), Problem> {
    if devices.is_empty() || devices.len() > CREATE_MAX {
        return Err(Problem::validation(format!("devices must hold 1 to {CREATE_MAX} devices, this one holds {}", devices.len())));
    }
    Ok((StatusCode::CREATED, axum::Json(DevicesWithTokens { devices: register(&api, &scope, devices).await? })))
}

async fn register(api: &Api, scope: &Scope, new: Vec<NewDevice>) -> Result<Vec<DeviceWithToken>, Problem> {
    let now = api.clock.now();
    let specs = new.into_iter().map(accept).collect::<Result<Vec<_>, _>>()?;
    let hashed: Vec<_> = specs.iter().map(|(spec, token)| (spec.clone(), token.hash())).collect();
    api.store.insert_devices(&scope.tenant_id, &hashed, now).await?;
    let show = |(spec, token): (DeviceSpec, SecretToken)| {
        api.ingest.forget(&DeviceKey { tenant_id: scope.tenant_id.clone(), device_id: spec.device_id.clone() });
        let device = Device {
            tenant_id: scope.tenant_id.clone(),
            device_id: spec.device_id,
            site_id: spec.site_id,
            device_type: spec.device_type,
            group_ids: spec.group_ids,
            lifecycle: spec.lifecycle,
            created_at: now,
            status: DeviceStatus::Unknown,
            last_seen: None,
        };
        DeviceWithToken { device, token: token.reveal().to_owned() }
    };
    Ok(specs.into_iter().map(show).collect())
}

fn accept(new: NewDevice) -> Result<(DeviceSpec, SecretToken), Problem> {
    if new.device_id.as_str() == RESERVED_ID {
        return Err(Problem::validation(format!("device_id {RESERVED_ID} is taken by a path of the API: choose another")));
    }
    let token = match new.token {
        None => SecretToken::generate("pulse_dev"),
        Some(own) if TOKEN_CHARS.contains(&own.len()) && own.bytes().all(|b| b.is_ascii_graphic()) => SecretToken::from_text(own),
        Some(_) => {
            return Err(Problem::validation(format!(
                "token of device {} must be {} to {} visible ASCII characters; leave it out to have one made",
                new.device_id,
                TOKEN_CHARS.start(),
                TOKEN_CHARS.end()
            )));
        }
    };
    let spec = DeviceSpec {
        device_id: new.device_id,
        site_id: new.site_id,
        device_type: new.device_type,
        group_ids: new.group_ids,
        lifecycle: new.lifecycle,
    };
    check_spec(&spec)?;
    Ok((spec, token))
}

fn check_spec(spec: &DeviceSpec) -> Result<(), Problem> {
    check::text("device_type", &spec.device_type, TYPE_MAX_CHARS)?;
    check::length("group_ids", spec.group_ids.len())
}

/// Lists devices by id
#[utoipa::path(get, path = "/devices", tag = "devices", operation_id = "list_devices",
    params(DeviceQuery), responses((status = 200, body = PageOf<schema::Device>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<DeviceQuery>,
) -> Result<axum::Json<PageOf<Device>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    let filter = DeviceFilter { site_id: query.site_id, status: query.status, lifecycle: query.lifecycle };
    Ok(axum::Json(api.store.devices(&scope.tenant_id, &filter, &page).await?.into()))
}

#[derive(Debug, Deserialize)]
pub(super) struct DevicePath {
    pub(super) device_id: DeviceId,
}

impl DevicePath {
    pub(super) fn key(self, scope: &Scope) -> DeviceKey {
        DeviceKey { tenant_id: scope.tenant_id.clone(), device_id: self.device_id }
    }
}

/// The device, or that there is none.
pub(super) async fn find(api: &Api, key: &DeviceKey) -> Result<Device, Problem> {
    api.store.device(key).await?.ok_or_else(no_device)
}

fn no_device() -> Problem {
    Problem::not_found("device")
}

/// Gets a device
#[utoipa::path(get, path = "/devices/{device_id}", tag = "devices", operation_id = "get_device",
    responses((status = 200, body = schema::Device)))]
pub(super) async fn get(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<DevicePath>) -> Result<axum::Json<Device>, Problem> {
    find(&api, &path.key(&scope)).await.map(axum::Json)
}

/// What is to change of a device; what is left out stays
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceChange {
    #[schema(value_type = Option<String>)]
    site_id: Option<SiteId>,
    device_type: Option<String>,
    #[schema(value_type = Option<Vec<String>>)]
    group_ids: Option<Vec<GroupId>>,
    #[schema(value_type = Option<schema::Lifecycle>)]
    lifecycle: Option<Lifecycle>,
}

/// Changes a device; one that is no longer active has its open alerts closed
#[utoipa::path(patch, path = "/devices/{device_id}", tag = "devices", operation_id = "update_device",
    request_body = DeviceChange, responses((status = 200, body = schema::Device)))]
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<DevicePath>,
    Json(change): Json<DeviceChange>,
) -> Result<axum::Json<Device>, Problem> {
    let key = path.key(&scope);
    let mut device = find(&api, &key).await?;
    device.site_id = change.site_id.unwrap_or(device.site_id);
    device.device_type = change.device_type.unwrap_or(device.device_type);
    device.group_ids = change.group_ids.unwrap_or(device.group_ids);
    device.lifecycle = change.lifecycle.unwrap_or(device.lifecycle);
    let spec = DeviceSpec {
        device_id: device.device_id.clone(),
        site_id: device.site_id.clone(),
        device_type: device.device_type.clone(),
        group_ids: device.group_ids.clone(),
        lifecycle: device.lifecycle,
    };
    check_spec(&spec)?;
    let updated = api.store.update_device(&scope.tenant_id, &spec, api.clock.now(), &super::cause()).await?;
    api.ingest.forget(&key);
    if updated { Ok(axum::Json(device)) } else { Err(no_device()) }
}

/// A device's new token, which is shown only this once
#[derive(Serialize, ToSchema)]
pub(super) struct DeviceToken {
    #[schema(value_type = String)]
    device_id: DeviceId,
    token: String,
}

/// Gives a device a new token; the old one is refused from now on
#[utoipa::path(post, path = "/devices/{device_id}/token", tag = "devices", operation_id = "rotate_device_token",
    responses((status = 200, body = DeviceToken)))]
pub(super) async fn rotate_token(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<DevicePath>,
) -> Result<axum::Json<DeviceToken>, Problem> {
    let key = path.key(&scope);
    let token = SecretToken::generate("pulse_dev");
    let set = api.store.set_device_token(&key, &token.hash()).await?;
    api.ingest.forget(&key);
    if !set {
        return Err(no_device());
    }
    Ok(axum::Json(DeviceToken { device_id: key.device_id, token: token.reveal().to_owned() }))
}
