//! Integrations.

use pulse_domain::Timestamp;
use pulse_domain::ids::{IntegrationId, TenantId};
use pulse_domain::integration::Integration;
use sqlx::postgres::PgRow;

use crate::Result;
use crate::postgres::PostgresStore;
use crate::postgres::rows::{Fields, to_json};

pub(super) const FIND: &str = "SELECT tenant_id, integration_id, name, enabled, destination, created_at
    FROM integrations WHERE tenant_id = $1 AND integration_id = $2";
pub(super) const PAGE: &str = "SELECT tenant_id, integration_id, name, enabled, destination, created_at
    FROM integrations WHERE tenant_id = $1 AND integration_id > $2 ORDER BY integration_id LIMIT $3";

pub(super) async fn insert(store: &PostgresStore, integration: &Integration) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO integrations (tenant_id, integration_id, name, enabled, queue, destination, created_at)
        VALUES ($1, $2, $3, $4, $5, $6::json, $7)",
    )
    .bind(integration.tenant_id.as_str())
    .bind(integration.integration_id.0)
    .bind(&integration.name)
    .bind(integration.enabled)
    .bind(integration.destination.queue().as_str())
    .bind(to_json(&integration.destination)?)
    .bind(integration.created_at);
    store.execute(&integration.tenant_id, query).await.map_err(|error| error.naming("the integration", "the tenant"))?;
    Ok(())
}

pub(super) async fn update(store: &PostgresStore, integration: &Integration) -> Result<bool> {
    let query = sqlx::query(
        "UPDATE integrations SET name = $3, enabled = $4, queue = $5, destination = $6::json WHERE tenant_id = $1 AND integration_id = $2",
    )
    .bind(integration.tenant_id.as_str())
    .bind(integration.integration_id.0)
    .bind(&integration.name)
    .bind(integration.enabled)
    .bind(integration.destination.queue().as_str())
    .bind(to_json(&integration.destination)?);
    Ok(store.execute(&integration.tenant_id, query).await? > 0)
}

/// Those that a worker has claimed end by themselves, as it finds no integration or has it still.
const KILL_JOBS: &str = "
WITH killed AS (DELETE FROM jobs WHERE tenant_id = $1 AND integration_id = $2 AND state = 'PENDING' RETURNING *)
INSERT INTO finished_jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at, finished_at,
    origin_at, trace, attempt_trace, last_error, payload)
SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, 'DEAD', attempts, run_at, created_at, $3, origin_at, trace,
    attempt_trace, 'its integration was deleted', payload
FROM killed";

pub(super) async fn delete(store: &PostgresStore, tenant_id: &TenantId, id: IntegrationId, now: Timestamp) -> Result<bool> {
    let mut transaction = store.begin(tenant_id).await?;
    let done = sqlx::query("DELETE FROM integrations WHERE tenant_id = $1 AND integration_id = $2")
        .bind(tenant_id.as_str())
        .bind(id.0)
        .execute(transaction.connection())
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(KILL_JOBS).bind(tenant_id.as_str()).bind(id.0).bind(now).execute(transaction.connection()).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(in crate::postgres) fn integration(row: &PgRow) -> Result<Integration> {
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
