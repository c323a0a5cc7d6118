//! Alerts as people handle them.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertEvent, AlertStatus};
use pulse_domain::ids::AlertId;
use pulse_store::AlertFilter;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::query::AlertQuery;
use crate::auth::Scope;
use crate::extract::{Filter, Ids, Json};
use crate::openapi::schema;
use crate::page::{self, ListOf, PageOf};
use crate::problem::{Kind, Problem};

/// The longest silence: a year.
const SILENCE_MAX_MINUTES: u32 = 525_600;

#[derive(Debug, Deserialize)]
pub(super) struct AlertPath {
    alert_id: AlertId,
}

fn no_alert() -> Problem {
    Problem::not_found("alert")
}

/// Lists alerts, newest first
#[utoipa::path(get, path = "/alerts", tag = "alerts", operation_id = "list_alerts",
    params(AlertQuery), responses((status = 200, body = PageOf<schema::Alert>)))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Filter(query): Filter<AlertQuery>,
) -> Result<axum::Json<PageOf<Alert>>, Problem> {
    let page = page::request(query.limit, query.after)?;
    let filter =
        AlertFilter { status: query.status, alert_type: query.alert_type, min_severity: query.min_severity, device_id: query.device_id };
    Ok(axum::Json(api.store.alerts(&scope.tenant_id, &filter, &page).await?.into()))
}

/// Gets an alert
#[utoipa::path(get, path = "/alerts/{alert_id}", tag = "alerts", operation_id = "get_alert",
    responses((status = 200, body = schema::Alert)))]
pub(super) async fn get(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<AlertPath>) -> Result<axum::Json<Alert>, Problem> {
    api.store.alert(&scope.tenant_id, path.alert_id).await?.map(axum::Json).ok_or_else(no_alert)
}

/// Lists what happened to an alert, oldest first
#[utoipa::path(get, path = "/alerts/{alert_id}/events", tag = "alerts", operation_id = "list_alert_events",
    responses((status = 200, body = ListOf<schema::AlertEvent>)))]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<AlertPath>,
) -> Result<axum::Json<ListOf<AlertEvent>>, Problem> {
    api.store.alert(&scope.tenant_id, path.alert_id).await?.ok_or_else(no_alert)?;
    Ok(axum::Json(ListOf { items: api.store.alert_events(&scope.tenant_id, path.alert_id).await? }))
}

/// Acknowledges an alert in the name of the token; once is enough, a second time changes nothing
#[utoipa::path(post, path = "/alerts/{alert_id}/acknowledge", tag = "alerts", operation_id = "acknowledge_alert",
    responses((status = 200, body = schema::Alert)))]
pub(super) async fn acknowledge(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<AlertPath>,
) -> Result<axum::Json<Alert>, Problem> {
    let (by, now, cause) = (scope.caller.name(), api.clock.now(), super::cause());
    let alert = api.store.acknowledge_alert(&scope.tenant_id, path.alert_id, by, now, &cause).await?.ok_or_else(no_alert)?;
    if alert.status == AlertStatus::Closed {
        return Err(Problem::new(Kind::Conflict, "the alert is closed: only an open one can be acknowledged"));
    }
    Ok(axum::Json(alert))
}

/// Closes an alert; closing it again changes nothing
#[utoipa::path(post, path = "/alerts/{alert_id}/close", tag = "alerts", operation_id = "close_alert",
    responses((status = 200, body = schema::Alert)))]
pub(super) async fn close(State(api): State<Arc<Api>>, scope: Scope, Ids(path): Ids<AlertPath>) -> Result<axum::Json<Alert>, Problem> {
    let closed = api.store.close_alert(&scope.tenant_id, path.alert_id, api.clock.now(), &super::cause()).await?;
    closed.map(axum::Json).ok_or_else(no_alert)
}

/// How long, one way or the other
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Silence {
    /// From now, at most a year; 0 ends a silence
    #[schema(maximum = 525_600)]
    minutes: Option<u32>,
    /// An instant in the future, at most a year away
    until: Option<DateTime<Utc>>,
}

impl Silence {
    fn end(&self, now: Timestamp) -> Result<Timestamp, Problem> {
        let latest = now + TimeDelta::minutes(SILENCE_MAX_MINUTES.into());
        match (self.minutes, self.until) {
            (Some(minutes), None) if minutes <= SILENCE_MAX_MINUTES => Ok(now + TimeDelta::minutes(minutes.into())),
            (Some(_), None) => Err(Problem::validation(format!("minutes must be 0 to {SILENCE_MAX_MINUTES}"))),
            (None, Some(until)) if until > now && until <= latest => Ok(until),
            (None, Some(_)) => Err(Problem::validation("until must be in the future and at most a year away")),
            _ => Err(Problem::validation("give either minutes or until")),
        }
    }
}

/// Silences an alert: until then it is not escalated, and once closed it does not open again
#[utoipa::path(post, path = "/alerts/{alert_id}/silence", tag = "alerts", operation_id = "silence_alert",
    request_body = Silence, responses((status = 200, body = schema::Alert)))]
pub(super) async fn silence(
    State(api): State<Arc<Api>>,
    scope: Scope,
    Ids(path): Ids<AlertPath>,
    Json(silence): Json<Silence>,
) -> Result<axum::Json<Alert>, Problem> {
    let until = silence.end(api.clock.now())?;
    let silenced = api.store.silence_alert(&scope.tenant_id, path.alert_id, until).await?;
    silenced.map(axum::Json).ok_or_else(no_alert)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_ends_one_way_or_the_other() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let end = |minutes, until: Option<&str>| Silence { minutes, until: until.map(|u| u.parse().unwrap()) }.end(now).ok();
        assert_eq!(end(Some(30), None), Some(now + TimeDelta::minutes(30)));
        assert_eq!(end(Some(0), None), Some(now));
        assert_eq!(end(None, Some("2026-01-02T00:00:00Z")), Some(now + TimeDelta::days(1)));
        for (minutes, until) in [
            (None, None),
            (Some(1), Some("2026-01-02T00:00:00Z")),
            (Some(525_601), None),
            (None, Some("2025-12-31T00:00:00Z")),
            (None, Some("2027-01-02T00:00:00Z")),
        ] {
            assert_eq!(end(minutes, until), None);
        }
    }
}
