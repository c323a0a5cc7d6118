//! Tenants.

use pulse_domain::device::Tenant;
use pulse_domain::ids::TenantId;
use sqlx::postgres::PgRow;

use crate::paging::{self, List};
use crate::postgres::PostgresStore;
use crate::postgres::rows::Fields;
use crate::postgres::transaction::Scope;
use crate::{Page, PageRequest, Result};

pub(super) async fn insert(store: &PostgresStore, tenant: &Tenant) -> Result<()> {
    let query = sqlx::query("INSERT INTO tenants (tenant_id, name, created_at) VALUES ($1, $2, $3)")
        .bind(tenant.tenant_id.as_str())
        .bind(&tenant.name)
        .bind(tenant.created_at);
    store.execute(&tenant.tenant_id, query).await.map_err(|error| error.naming("the tenant", "the tenant"))?;
    Ok(())
}

pub(super) async fn find(store: &PostgresStore, tenant_id: &TenantId) -> Result<Option<Tenant>> {
    let query = sqlx::query("SELECT tenant_id, name, created_at FROM tenants WHERE tenant_id = $1").bind(tenant_id.as_str());
    let row = store.row(tenant_id, query).await?;
    row.as_ref().map(tenant).transpose()
}

/// Customers only: Pulse's own tenant is there from the start and nobody made it.
pub(super) async fn page(store: &PostgresStore, page: &PageRequest) -> Result<Page<Tenant>> {
    let after: String = paging::after(List::Tenants, page)?.unwrap_or_default();
    let query = sqlx::query("SELECT tenant_id, name, created_at FROM list_tenants($1, $2)").bind(after).bind(paging::rows_wanted(page));
    let rows = store.rows(Scope::AllTenants, query).await?;
    let items = rows.iter().map(tenant).collect::<Result<_>>()?;
    Ok(paging::page(List::Tenants, page, items, |tenant: &Tenant| tenant.tenant_id.as_str().to_owned()))
}

fn tenant(row: &PgRow) -> Result<Tenant> {
    let fields = Fields::new(row, "a tenant");
    Ok(Tenant { tenant_id: fields.text("tenant_id")?, name: fields.get("name")?, created_at: fields.time("created_at")? })
}
