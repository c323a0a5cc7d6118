//! The devices' messages as the HTTP doors take them.

use bytes::Bytes;
use chrono::SecondsFormat;
use pulse_domain::Timestamp;
use pulse_domain::credential::SecretToken;
use pulse_domain::ids::{DeviceId, SiteId, TenantId};
use pulse_domain::reading::MetricValue;
use serde::{Serialize, Serializer};

use crate::fleet::Message;

/// The header of the single door that holds the device's token.
pub const TOKEN_HEADER: &str = "x-provision-token";
/// The path of the batch door.
pub const BATCH_PATH: &str = "/ingest/v1/batch";

/// A registered device and its token.
#[derive(Debug, Clone)]
pub struct DeviceAccess {
    pub device_id: DeviceId,
    pub site_id: SiteId,
    pub token: SecretToken,
}

/// A registered fleet: the device number `i` of the model is `devices[i]`.
#[derive(Debug, Clone)]
pub struct FleetAccess {
    pub tenant_id: TenantId,
    pub devices: Vec<DeviceAccess>,
}

/// The path of the single door for one message.
pub fn single_path(tenant_id: &TenantId, device_id: &DeviceId, message: &Message) -> String {
    format!("/ingest/v1/tenant/{tenant_id}/device/{device_id}/{}", message.kind.as_str())
}

/// The body of the single door; `ts` is the device's own time, none leaves it to the server.
pub fn single_body(device: &DeviceAccess, message: &Message, ts: Option<Timestamp>) -> Result<Bytes, serde_json::Error> {
    let body = Single {
        version: VERSION,
        ts: ts.map(rfc3339),
        site_id: device.site_id.as_str(),
        seq: message.seq,
        metrics: MetricMap(&message.metrics),
    };
    serde_json::to_vec(&body).map(Bytes::from)
}

/// The body of the batch door.
pub fn batch_body<'a>(
    tenant_id: &TenantId,
    entries: impl IntoIterator<Item = (&'a DeviceAccess, &'a Message, Option<Timestamp>)>,
) -> Result<Bytes, serde_json::Error> {
    let messages = entries
        .into_iter()
        .map(|(device, message, ts)| BatchEntry {
            tenant_id: tenant_id.as_str(),
            device_id: device.device_id.as_str(),
            msg_type: message.kind.as_str(),
            provision_token: device.token.reveal(),
            version: VERSION,
            ts: ts.map(rfc3339),
            site_id: device.site_id.as_str(),
            seq: message.seq,
            metrics: MetricMap(&message.metrics),
        })
        .collect();
    serde_json::to_vec(&Batch { messages }).map(Bytes::from)
}

const VERSION: &str = "1";

#[derive(Serialize)]
struct Single<'a> {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<String>,
    site_id: &'a str,
    seq: i64,
    metrics: MetricMap<'a>,
}

#[derive(Serialize)]
struct Batch<'a> {
    messages: Vec<BatchEntry<'a>>,
}

#[derive(Serialize)]
struct BatchEntry<'a> {
    tenant_id: &'a str,
    device_id: &'a str,
    msg_type: &'static str,
    provision_token: &'a str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<String>,
    site_id: &'a str,
    seq: i64,
    metrics: MetricMap<'a>,
}

struct MetricMap<'a>(&'a [(&'static str, MetricValue)]);

impl Serialize for MetricMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn rfc3339(ts: Timestamp) -> String {
    ts.to_rfc3339_opts(SecondsFormat::Millis, true)
}
