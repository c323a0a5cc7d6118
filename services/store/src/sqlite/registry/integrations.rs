//! Integrations.

use pulse_domain::Timestamp;
use pulse_domain::ids::{IntegrationId, TenantId};
use pulse_domain::integration::Integration;
use sqlx::sqlite::SqliteRow;

use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, blob, micros, to_json};
use crate::{Error, Result};

pub(super) const FIND: &str = "SELECT tenant_id, integration_id, name, enabled, destination, created_at
    FROM integrations WHERE tenant_id = ?1 AND integration_id = ?2";
pub(super) const PAGE: &str = "SELECT tenant_id, integration_id, name, enabled, destination, created_at
    FROM integrations WHERE tenant_id = ?1 AND integration_id > ?2 ORDER BY integration_id LIMIT ?3";

pub(super) async fn insert(store: &SqliteStore, integration: &Integration) -> Result<()> {
    let mut writer = store.writer().await?;
    sqlx::query(
        "INSERT INTO integrations (tenant_id, integration_id, name, enabled, queue, destination, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(integration.tenant_id.as_str())
    .bind(blob(&integration.integration_id.0))
    .bind(&integration.name)
    .bind(integration.enabled)
    .bind(integration.destination.queue().as_str())
    .bind(to_json(&integration.destination)?)
    .bind(micros(integration.created_at))
    .execute(writer.connection())
    .await
    .map_err(|error| Error::from(error).naming("the integration", "the tenant"))?;
    Ok(())
}

pub(super) async fn update(store: &SqliteStore, integration: &Integration) -> Result<bool> {
    let mut writer = store.writer().await?;
    let done = sqlx::query(
        "UPDATE integrations SET name = ?3, enabled = ?4, queue = ?5, destination = ?6 WHERE tenant_id = ?1 AND integration_id = ?2",
    )
    .bind(integration.tenant_id.as_str())
    .bind(blob(&integration.integration_id.0))
    .bind(&integration.name)
    .bind(integration.enabled)
    .bind(integration.destination.queue().as_str())
    .bind(to_json(&integration.destination)?)
    .execute(writer.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

const KILL_JOBS: &str = "
UPDATE jobs INDEXED BY jobs_undelivered SET state = 'DEAD', finished_at = ?3, last_error = 'its integration was deleted'
WHERE tenant_id = ?1 AND integration_id = ?2 AND state = 'PENDING' AND state <> 'DELIVERED'";

pub(super) async fn delete(store: &SqliteStore, tenant_id: &TenantId, id: IntegrationId, now: Timestamp) -> Result<bool> {
    let mut transaction = store.write().await?;
    let done = sqlx::query("DELETE FROM integrations WHERE tenant_id = ?1 AND integration_id = ?2")
        .bind(tenant_id.as_str())
        .bind(blob(&id.0))
        .execute(transaction.connection())
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(KILL_JOBS).bind(tenant_id.as_str()).bind(blob(&id.0)).bind(micros(now)).execute(transaction.connection()).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(in crate::sqlite) fn integration(row: &SqliteRow) -> Result<Integration> {
    let fields = Fields::new(row, "an integration");
    Ok(Integration {
        tenant_id: fields.text("tenant_id")?,
        integration_id: IntegrationId(fields.id("integration_id")?),
        name: fields.get("name")?,
        enabled: fields.get("enabled")?,
        destination: fields.json("destination")?,
        created_at: fields.time("created_at")?,
    })
}
