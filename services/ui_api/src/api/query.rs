//! What lists can be asked for. Unknown filters are refused, so that a misspelt one is not passed over.

use chrono::{DateTime, Utc};
use pulse_domain::alert::{AlertStatus, AlertType};
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::ids::{DeviceId, IntegrationId, SiteId};
use pulse_domain::job::JobState;
use pulse_domain::rule::Severity;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::openapi::schema;

/// A page of a list
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Rows on a page, 1 to 500; 50 when it is not said
    pub(super) limit: Option<u32>,
    /// `next` of the page before
    pub(super) after: Option<String>,
}

/// Which devices
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeviceQuery {
    #[param(value_type = Option<String>)]
    pub(super) site_id: Option<SiteId>,
    #[param(value_type = Option<schema::DeviceStatus>)]
    pub(super) status: Option<DeviceStatus>,
    #[param(value_type = Option<schema::Lifecycle>)]
    pub(super) lifecycle: Option<Lifecycle>,
    /// Rows on a page, 1 to 500; 50 when it is not said
    pub(super) limit: Option<u32>,
    /// `next` of the page before
    pub(super) after: Option<String>,
}

/// Which readings
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadingQuery {
    /// Received at or after; RFC 3339
    pub(super) from: Option<DateTime<Utc>>,
    /// Received before; RFC 3339
    pub(super) to: Option<DateTime<Utc>>,
    /// Rows on a page, 1 to 500; 50 when it is not said
    pub(super) limit: Option<u32>,
    /// `next` of the page before
    pub(super) after: Option<String>,
}

/// Which alerts
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertQuery {
    #[param(value_type = Option<schema::AlertStatus>)]
    pub(super) status: Option<AlertStatus>,
    #[param(value_type = Option<schema::AlertType>)]
    pub(super) alert_type: Option<AlertType>,
    /// From this severity up, 1 to 5
    #[param(value_type = Option<u8>)]
    pub(super) min_severity: Option<Severity>,
    #[param(value_type = Option<String>)]
    pub(super) device_id: Option<DeviceId>,
    /// Rows on a page, 1 to 500; 50 when it is not said
    pub(super) limit: Option<u32>,
    /// `next` of the page before
    pub(super) after: Option<String>,
}

/// Which jobs
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobQuery {
    #[param(value_type = Option<schema::JobState>)]
    pub(super) state: Option<JobState>,
    #[param(value_type = Option<uuid::Uuid>)]
    pub(super) integration_id: Option<IntegrationId>,
    /// Rows on a page, 1 to 500; 50 when it is not said
    pub(super) limit: Option<u32>,
    /// `next` of the page before
    pub(super) after: Option<String>,
}
