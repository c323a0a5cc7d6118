//! Tenants and what they own, a module for each.

pub(super) mod devices;
pub(super) mod integrations;
pub(super) mod policies;
pub(super) mod routes;
pub(super) mod rules;
mod tenants;
mod tokens;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::Cause;
use pulse_domain::credential::{ApiToken, TokenHash};
use pulse_domain::device::{Device, Tenant};
use pulse_domain::escalation::Policy;
use pulse_domain::ids::{DeviceKey, IntegrationId, PolicyId, RouteId, RuleId, TenantId, TokenId};
use pulse_domain::integration::Integration;
use pulse_domain::route::Route;
use pulse_domain::rule::Rule;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::PostgresStore;
use crate::paging::{self, List};
use crate::{DeviceFilter, DeviceSpec, Page, PageRequest, RegistryStore, Result};

/// A page of a tenant's rows by a UUID, which is by creation: `sql` takes the tenant, the id to go on after and how many.
async fn page_by_id<T>(
    store: &PostgresStore,
    sql: &'static str,
    list: List,
    tenant_id: Option<&TenantId>,
    page: &PageRequest,
    read: fn(&PgRow) -> Result<T>,
    id: fn(&T) -> Uuid,
) -> Result<Page<T>> {
    let after = paging::after::<Uuid>(list, page)?.unwrap_or_default();
    let query = sqlx::query(sql).bind(tenant_id.map(TenantId::as_str)).bind(after).bind(paging::rows_wanted(page));
    let rows = store.rows(tenant_id, query).await?;
    let items = rows.iter().map(read).collect::<Result<_>>()?;
    Ok(paging::page(list, page, items, id))
}

/// A tenant's row by its UUID: `sql` takes the two.
async fn find_by_id<T>(
    store: &PostgresStore,
    sql: &'static str,
    tenant_id: &TenantId,
    id: Uuid,
    read: fn(&PgRow) -> Result<T>,
) -> Result<Option<T>> {
    let row = store.row(tenant_id, sqlx::query(sql).bind(tenant_id.as_str()).bind(id)).await?;
    row.as_ref().map(read).transpose()
}

/// Deletes a tenant's row by its UUID: `sql` takes the two.
async fn delete_by_id(store: &PostgresStore, sql: &'static str, tenant_id: Option<&TenantId>, id: Uuid) -> Result<bool> {
    Ok(store.execute(tenant_id, sqlx::query(sql).bind(tenant_id.map(TenantId::as_str)).bind(id)).await? > 0)
}

#[async_trait]
impl RegistryStore for PostgresStore {
    async fn insert_tenant(&self, tenant: &Tenant) -> Result<()> {
        tenants::insert(self, tenant).await
    }
    async fn tenant(&self, tenant_id: &TenantId) -> Result<Option<Tenant>> {
        tenants::find(self, tenant_id).await
    }
    async fn tenants(&self, page: &PageRequest) -> Result<Page<Tenant>> {
        tenants::page(self, page).await
    }

    async fn insert_devices(&self, tenant_id: &TenantId, devices: &[(DeviceSpec, TokenHash)], now: Timestamp) -> Result<()> {
        devices::insert(self, tenant_id, devices, now).await
    }
    async fn device(&self, key: &DeviceKey) -> Result<Option<Device>> {
        devices::find(self, key).await
    }
    async fn devices(&self, tenant_id: &TenantId, filter: &DeviceFilter, page: &PageRequest) -> Result<Page<Device>> {
        devices::page(self, tenant_id, filter, page).await
    }
    async fn update_device(&self, tenant_id: &TenantId, device: &DeviceSpec, now: Timestamp, cause: &Cause) -> Result<bool> {
        devices::update(self, tenant_id, device, now, cause).await
    }
    async fn set_device_token(&self, key: &DeviceKey, token: &TokenHash) -> Result<bool> {
        devices::set_token(self, key, token).await
    }

    async fn insert_rule(&self, rule: &Rule) -> Result<()> {
        rules::insert(self, rule).await
    }
    async fn rule(&self, tenant_id: &TenantId, rule_id: RuleId) -> Result<Option<Rule>> {
        find_by_id(self, rules::FIND, tenant_id, rule_id.0, rules::rule).await
    }
    async fn rules(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Rule>> {
        page_by_id(self, rules::PAGE, List::Rules, Some(tenant_id), page, rules::rule, |rule| rule.rule_id.0).await
    }
    async fn update_rule(&self, rule: &Rule, cause: &Cause) -> Result<bool> {
        rules::update(self, rule, cause).await
    }
    async fn delete_rule(&self, tenant_id: &TenantId, rule_id: RuleId, now: Timestamp, cause: &Cause) -> Result<bool> {
        rules::delete(self, tenant_id, rule_id, now, cause).await
    }
    async fn set_rule_error(&self, tenant_id: &TenantId, rule_id: RuleId, error: Option<&str>) -> Result<()> {
        rules::set_error(self, tenant_id, rule_id, error).await
    }

    async fn insert_integration(&self, integration: &Integration) -> Result<()> {
        integrations::insert(self, integration).await
    }
    async fn integration(&self, tenant_id: &TenantId, id: IntegrationId) -> Result<Option<Integration>> {
        find_by_id(self, integrations::FIND, tenant_id, id.0, integrations::integration).await
    }
    async fn integrations(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Integration>> {
        let (sql, read) = (integrations::PAGE, integrations::integration);
        page_by_id(self, sql, List::Integrations, Some(tenant_id), page, read, |integration| integration.integration_id.0).await
    }
    async fn update_integration(&self, integration: &Integration) -> Result<bool> {
        integrations::update(self, integration).await
    }
    async fn delete_integration(&self, tenant_id: &TenantId, id: IntegrationId, now: Timestamp) -> Result<bool> {
        integrations::delete(self, tenant_id, id, now).await
    }

    async fn insert_route(&self, route: &Route) -> Result<()> {
        routes::insert(self, route).await
    }
    async fn route(&self, tenant_id: &TenantId, id: RouteId) -> Result<Option<Route>> {
        find_by_id(self, routes::FIND, tenant_id, id.0, routes::route).await
    }
    async fn routes(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Route>> {
        page_by_id(self, routes::PAGE, List::Routes, Some(tenant_id), page, routes::route, |route| route.route_id.0).await
    }
    async fn update_route(&self, route: &Route) -> Result<bool> {
        routes::update(self, route).await
    }
    async fn delete_route(&self, tenant_id: &TenantId, id: RouteId) -> Result<bool> {
        delete_by_id(self, routes::DELETE, Some(tenant_id), id.0).await
    }

    async fn insert_policy(&self, policy: &Policy) -> Result<()> {
        policies::insert(self, policy).await
    }
    async fn policies(&self, tenant_id: &TenantId, page: &PageRequest) -> Result<Page<Policy>> {
        page_by_id(self, policies::PAGE, List::Policies, Some(tenant_id), page, policies::policy, |policy| policy.policy_id.0).await
    }
    async fn delete_policy(&self, tenant_id: &TenantId, id: PolicyId) -> Result<bool> {
        delete_by_id(self, policies::DELETE, Some(tenant_id), id.0).await
    }

    async fn insert_token(&self, token: &ApiToken, hash: &TokenHash) -> Result<()> {
        tokens::insert(self, token, hash).await
    }
    async fn token(&self, hash: &TokenHash) -> Result<Option<ApiToken>> {
        tokens::find(self, hash).await
    }
    async fn tokens(&self, tenant_id: Option<&TenantId>, page: &PageRequest) -> Result<Page<ApiToken>> {
        page_by_id(self, tokens::PAGE, List::Tokens, tenant_id, page, tokens::token, |token| token.token_id.0).await
    }
    async fn delete_token(&self, tenant_id: Option<&TenantId>, id: TokenId) -> Result<bool> {
        delete_by_id(self, tokens::DELETE, tenant_id, id.0).await
    }
}
