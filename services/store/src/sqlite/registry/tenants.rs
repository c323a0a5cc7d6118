//! Tenants.

use pulse_domain::device::{SYSTEM_TENANT, Tenant};
use pulse_domain::ids::TenantId;
use sqlx::sqlite::SqliteRow;

use crate::paging::{self, List};
use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, micros};
use crate::{Error, Page, PageRequest, Result};

pub(super) async fn insert(store: &SqliteStore, tenant: &Tenant) -> Result<()> {
    let mut writer = store.writer().await?;
    sqlx::query("INSERT INTO tenants (tenant_id, name, created_at) VALUES (?1, ?2, ?3)")
        .bind(tenant.tenant_id.as_str())
        .bind(&tenant.name)
        .bind(micros(tenant.created_at))
        .execute(writer.connection())
        .await
        .map_err(|error| Error::from(error).naming("the tenant", "the tenant"))?;
    Ok(())
}

pub(super) async fn find(store: &SqliteStore, tenant_id: &TenantId) -> Result<Option<Tenant>> {
    let row = sqlx::query("SELECT tenant_id, name, created_at FROM tenants WHERE tenant_id = ?1")
        .bind(tenant_id.as_str())
        .fetch_optional(&mut *store.reader().await?)
        .await?;
    row.as_ref().map(tenant).transpose()
}

/// Customers only: Pulse's own tenant is there from the start and nobody made it.
pub(super) async fn page(store: &SqliteStore, page: &PageRequest) -> Result<Page<Tenant>> {
    let after: String = paging::after(List::Tenants, page)?.unwrap_or_default();
    let rows = sqlx::query(
        "SELECT tenant_id, name, created_at
        FROM tenants WHERE tenant_id > ?1 AND tenant_id <> ?2 ORDER BY tenant_id LIMIT ?3",
    )
    .bind(after)
    .bind(SYSTEM_TENANT)
    .bind(paging::rows_wanted(page))
    .fetch_all(&mut *store.reader().await?)
    .await?;
    let items = rows.iter().map(tenant).collect::<Result<_>>()?;
    Ok(paging::page(List::Tenants, page, items, |tenant: &Tenant| tenant.tenant_id.as_str().to_owned()))
}

fn tenant(row: &SqliteRow) -> Result<Tenant> {
    let fields = Fields::new(row, "a tenant");
    Ok(Tenant { tenant_id: fields.text("tenant_id")?, name: fields.get("name")?, created_at: fields.time("created_at")? })
}
