//! Readings as history.

use std::sync::Arc;

use axum::extract::State;
use pulse_domain::reading::Reading;

use super::Api;
use super::devices::{self, DevicePath};
use super::query::ReadingQuery;
use crate::auth::Scope;
use crate::extract::{Filter, Ids};
use crate::openapi::schema;
use crate::page::{self, PageOf};
use crate::problem::Problem;

/// Lists a device's readings, newest first
#[utoipa::path(get, path = "/devices/{device_id}/readings", tag = "devices", operation_id = "list_readings",
    params(ReadingQuery), responses((status = 200, body = PageOf<schema::Reading>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<DevicePath>,
    Filter(query): Filter<ReadingQuery>,
) -> Result<axum::Json<PageOf<Reading>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    let key = path.key(&scope);
    devices::find(&api, &key).await?;
    Ok(axum::Json(api.store.readings(&key, query.from, query.to, &page).await?.into()))
}
