//! Routes.

use pulse_domain::ids::RouteId;
use pulse_domain::route::Route;
use sqlx::postgres::PgRow;

use crate::Result;
use crate::postgres::PostgresStore;
use crate::postgres::rows::{Fields, to_json};

pub(super) const FIND: &str = "SELECT tenant_id, route_id, spec, created_at FROM routes WHERE tenant_id = $1 AND route_id = $2";
pub(super) const PAGE: &str = "SELECT tenant_id, route_id, spec, created_at
    FROM routes WHERE tenant_id = $1 AND route_id > $2 ORDER BY route_id LIMIT $3";
pub(super) const DELETE: &str = "DELETE FROM routes WHERE tenant_id = $1 AND route_id = $2";

pub(super) async fn insert(store: &PostgresStore, route: &Route) -> Result<()> {
    let insert =
        "INSERT INTO routes (tenant_id, route_id, integration_id, enabled, spec, created_at) VALUES ($1, $2, $3, $4, $5::json, $6)";
    let query = sqlx::query(insert)
        .bind(route.tenant_id.as_str())
        .bind(route.route_id.0)
        .bind(route.spec.integration_id.0)
        .bind(route.spec.enabled)
        .bind(to_json(&route.spec)?)
        .bind(route.created_at);
    store.execute(&route.tenant_id, query).await.map_err(|error| error.naming("the route", "the integration"))?;
    Ok(())
}

pub(super) async fn update(store: &PostgresStore, route: &Route) -> Result<bool> {
    let query = sqlx::query("UPDATE routes SET integration_id = $3, enabled = $4, spec = $5::json WHERE tenant_id = $1 AND route_id = $2")
        .bind(route.tenant_id.as_str())
        .bind(route.route_id.0)
        .bind(route.spec.integration_id.0)
        .bind(route.spec.enabled)
        .bind(to_json(&route.spec)?);
    Ok(store.execute(&route.tenant_id, query).await.map_err(|error| error.naming("the route", "the integration"))? > 0)
}

pub(in crate::postgres) fn route(row: &PgRow) -> Result<Route> {
    let fields = Fields::new(row, "a route");
    Ok(Route {
        tenant_id: fields.text("tenant_id")?,
        route_id: RouteId(fields.id("route_id")?),
        spec: fields.json("spec")?,
        created_at: fields.time("created_at")?,
    })
}
