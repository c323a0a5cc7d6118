//! Who reports in the scenarios: tenants with their devices and rules, made through the store.

use pulse_domain::Timestamp;
use pulse_domain::credential::SecretToken;
use pulse_domain::device::{Lifecycle, Tenant};
use pulse_domain::ids::{DeviceId, DeviceKey, RuleId, SiteId, TenantId};
use pulse_domain::reading::{Metrics, NewReading, ReadingKind};
use pulse_domain::rule::Rule;
use pulse_store::{DeviceSpec, RegistryStore};
use serde_json::json;

/// Devices registered in one call.
const REGISTERED_AT_ONCE: usize = 2_000;
/// The site of all devices.
pub(crate) const SITE: &str = "site-1";
/// The rules of each tenant: metric, operator, threshold. A reading with [`quiet_metrics`] breaches none.
const RULES: [(&str, &str, i32); 5] = [
    ("temperature_c", "GT", 80),
    ("temperature_c", "LT", -20),
    ("humidity_pct", "GTE", 90),
    ("battery_v", "LTE", 2),
    ("battery_v", "GT", 101),
];

/// The devices of a scenario: spread over tenants, numbered through.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) devices: Vec<DeviceKey>,
}

impl Population {
    /// Names them: `devices` in all.
    pub(crate) fn plan(tenants: usize, devices: usize) -> anyhow::Result<Self> {
        anyhow::ensure!((1..=devices).contains(&tenants), "there must be at least one tenant, and a device for each");
        let tenants = (0..tenants).map(|n| TenantId::parse(&format!("tenant-{n:02}"))).collect::<Result<Vec<_>, _>>()?;
        let device = |n: usize| {
            let device_id = DeviceId::parse(&format!("device-{n:06}"))?;
            anyhow::Ok(DeviceKey { tenant_id: tenants[n % tenants.len()].clone(), device_id })
        };
        let devices = (0..devices).map(device).collect::<anyhow::Result<_>>()?;
        Ok(Self { tenants, devices })
    }

    /// Registers all of them, with five rules a tenant.
    pub(crate) async fn register(&self, store: &impl RegistryStore, now: Timestamp) -> anyhow::Result<()> {
        for tenant_id in &self.tenants {
            store.insert_tenant(&Tenant { tenant_id: tenant_id.clone(), name: tenant_id.to_string(), created_at: now }).await?;
            for (number, (metric, operator, threshold)) in RULES.iter().enumerate() {
                let name = format!("rule {number}");
                let body = json!({"name": name, "severity": 3, "metric_name": metric, "operator": operator, "threshold": threshold});
                let (rule_id, spec) = (RuleId::generate(), serde_json::from_value(body)?);
                let rule = Rule { tenant_id: tenant_id.clone(), rule_id, spec, created_at: now, updated_at: now, error: None };
                store.insert_rule(&rule).await?;
            }
            let own: Vec<_> = self.devices.iter().filter(|key| key.tenant_id == *tenant_id).collect();
            for part in own.chunks(REGISTERED_AT_ONCE) {
                let part = part.iter().map(|key| Ok((spec(key)?, token(key).hash()))).collect::<anyhow::Result<Vec<_>>>()?;
                store.insert_devices(tenant_id, &part, now).await?;
            }
        }
        Ok(())
    }
}

/// The token that a device shows.
pub(crate) fn token(key: &DeviceKey) -> SecretToken {
    SecretToken::from_text(format!("token-of-{}-{}", key.tenant_id, key.device_id))
}

fn spec(key: &DeviceKey) -> anyhow::Result<DeviceSpec> {
    Ok(DeviceSpec {
        device_id: key.device_id.clone(),
        site_id: SiteId::parse(SITE)?,
        device_type: "freezer".to_owned(),
        group_ids: vec![],
        lifecycle: Lifecycle::Active,
    })
}

/// Values far from every threshold.
pub(crate) fn quiet_metrics() -> anyhow::Result<Metrics> {
    Ok(serde_json::from_value(json!({"temperature_c": 21.5, "humidity_pct": 40, "battery_v": 77.25}))?)
}

/// A reading of a device that breaches nothing.
pub(crate) fn reading(key: &DeviceKey, metrics: &Metrics, at: Timestamp) -> anyhow::Result<NewReading> {
    Ok(NewReading {
        key: key.clone(),
        kind: ReadingKind::Telemetry,
        ts: at,
        received_at: at,
        site_id: SiteId::parse(SITE)?,
        seq: Some(1),
        metrics: metrics.clone(),
        trace: None,
    })
}
