//! Routes.

use pulse_domain::ids::RouteId;
use pulse_domain::route::Route;
use sqlx::sqlite::SqliteRow;

use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, blob, micros, to_json};
use crate::{Error, Result};

pub(super) const FIND: &str = "SELECT tenant_id, route_id, spec, created_at FROM routes WHERE tenant_id = ?1 AND route_id = ?2";
pub(super) const PAGE: &str = "SELECT tenant_id, route_id, spec, created_at
    FROM routes WHERE tenant_id = ?1 AND route_id > ?2 ORDER BY route_id LIMIT ?3";
pub(super) const DELETE: &str = "DELETE FROM routes WHERE tenant_id = ?1 AND route_id = ?2";

pub(super) async fn insert(store: &SqliteStore, route: &Route) -> Result<()> {
    let mut writer = store.writer().await?;
    sqlx::query("INSERT INTO routes (tenant_id, route_id, integration_id, enabled, spec, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(route.tenant_id.as_str())
        .bind(blob(&route.route_id.0))
        .bind(blob(&route.spec.integration_id.0))
        .bind(route.spec.enabled)
        .bind(to_json(&route.spec)?)
        .bind(micros(route.created_at))
        .execute(writer.connection())
        .await
        .map_err(|error| Error::from(error).naming("the route", "the integration"))?;
    Ok(())
}

pub(super) async fn update(store: &SqliteStore, route: &Route) -> Result<bool> {
    let mut writer = store.writer().await?;
    let done = sqlx::query("UPDATE routes SET integration_id = ?3, enabled = ?4, spec = ?5 WHERE tenant_id = ?1 AND route_id = ?2")
        .bind(route.tenant_id.as_str())
        .bind(blob(&route.route_id.0))
        .bind(blob(&route.spec.integration_id.0))
        .bind(route.spec.enabled)
        .bind(to_json(&route.spec)?)
        .execute(writer.connection())
        .await
        .map_err(|error| Error::from(error).naming("the route", "the integration"))?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::sqlite) fn route(row: &SqliteRow) -> Result<Route> {
    let fields = Fields::new(row, "a route");
    Ok(Route {
        tenant_id: fields.text("tenant_id")?,
        route_id: RouteId(fields.id("route_id")?),
        spec: fields.json("spec")?,
        created_at: fields.time("created_at")?,
    })
}
