//! Tenants and what they own: devices, rules, integrations, routes, escalation policies, tokens.

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::Cause;
use pulse_domain::credential::{ApiToken, TokenHash};
use pulse_domain::device::{Device, DeviceStatus, Lifecycle, Tenant};
use pulse_domain::escalation::Policy;
use pulse_domain::ids::{DeviceId, DeviceKey, GroupId, IntegrationId, PolicyId, RouteId, RuleId, SiteId, TenantId, TokenId};
use pulse_domain::integration::Integration;
use pulse_domain::route::Route;
use pulse_domain::rule::Rule;

use crate::{Page, PageRequest, Result};

/// What a tenant says of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceSpec {
    pub device_id: DeviceId,
    pub site_id: SiteId,
    pub device_type: String,
    pub group_ids: Vec<GroupId>,
    pub lifecycle: Lifecycle,
}

/// Which devices to list; none means any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceFilter {
    pub site_id: Option<SiteId>,
    pub status: Option<DeviceStatus>,
    pub lifecycle: Option<Lifecycle>,
}

/// The registry. Inserts of an id that exists fail with `Conflict`; updates and deletes say whether there was anything. Those that close
/// alerts give the events their cause.
#[async_trait]
pub trait RegistryStore {
    async fn insert_tenant(&self, tenant: &Tenant) -> Result<()>;
    async fn tenant(&self, tenant_id: &TenantId) -> Result<Option<Tenant>>;
    /// By id. Operators only.
    async fn tenants(&self, page: &PageRequest) -> Result<Page<Tenant>>;

    /// Registers devices, all or none; `Conflict` when one exists, `Missing` when the tenant does not.
    async fn insert_devices(&self, tenant_id: &TenantId, devices: &[(DeviceSpec, TokenHash)], now: Timestamp) -> Result<()>;
    async fn device(&self, key: &DeviceKey) -> Result<Option<Device>>;
    /// By id.
    async fn devices(&self, tenant_id: &TenantId, filter: &DeviceFilter, page: &PageRequest) -> Result<Page<Device>>;
    /// A device that is no longer active has its open alerts closed (event CLOSED) in the same transaction.
    async fn update_device(&self, tenant_id: &TenantId, device: &DeviceSpec, now: Timestamp, cause: &Cause) -> Result<bool>;
    /// A new token; the old one is refused from now on.
    async fn set_device_token(&self, key: &DeviceKey, token: &TokenHash) -> Result<bool>;

    async fn insert_rule(&self, rule: &Rule) -> Result<()>;
    async fn rule(&self, tenant_id: &TenantId, rule_id: RuleId) -> Result<Option<Rule>>;
    /// By creation.
    async fn rules(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Rule>>;
    /// A rule that is now disabled has its open alerts closed (event CLOSED) in the same transaction. Clears the rule's error.
    async fn update_rule(&self, rule: &Rule, cause: &Cause) -> Result<bool>;
    /// Closes its open alerts (event CLOSED) in the same transaction.
    async fn delete_rule(&self, tenant_id: &TenantId, rule_id: RuleId, now: Timestamp, cause: &Cause) -> Result<bool>;
    /// Why a rule cannot be evaluated; none when it can. Does not count as a change of the rule.
    async fn set_rule_error(&self, tenant_id: &TenantId, rule_id: RuleId, error: Option<&str>) -> Result<()>;

    async fn insert_integration(&self, integration: &Integration) -> Result<()>;
    async fn integration(&self, tenant_id: &TenantId, id: IntegrationId) -> Result<Option<Integration>>;
    /// By creation.
    async fn integrations(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Integration>>;
    async fn update_integration(&self, integration: &Integration) -> Result<bool>;
    /// Its routes go with it; its pending jobs are dead from then on, with a `last_error` that says why.
    async fn delete_integration(&self, tenant_id: &TenantId, id: IntegrationId, now: Timestamp) -> Result<bool>;

    /// `Missing` when its integration is not the tenant's.
    async fn insert_route(&self, route: &Route) -> Result<()>;
    async fn route(&self, tenant_id: &TenantId, id: RouteId) -> Result<Option<Route>>;
    /// By creation.
    async fn routes(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Route>>;
    /// `Missing` when its integration is not the tenant's.
    async fn update_route(&self, route: &Route) -> Result<bool>;
    async fn delete_route(&self, tenant_id: &TenantId, id: RouteId) -> Result<bool>;

    async fn insert_policy(&self, policy: &Policy) -> Result<()>;
    /// By creation.
    async fn policies(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Policy>>;
    async fn delete_policy(&self, tenant_id: &TenantId, id: PolicyId) -> Result<bool>;

    async fn insert_token(&self, token: &ApiToken, hash: &TokenHash) -> Result<()>;
    async fn token(&self, hash: &TokenHash) -> Result<Option<ApiToken>>;
    /// Of one tenant, or the operators' when none. By creation.
    async fn tokens(&self, tenant_id: Option<&TenantId>, page: &PageRequest) -> Result<Page<ApiToken>>;
    async fn delete_token(&self, tenant_id: Option<&TenantId>, id: TokenId) -> Result<bool>;
}
