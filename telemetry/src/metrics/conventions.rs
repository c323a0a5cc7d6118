//! The metrics that OpenTelemetry's semantic conventions (1.42) name, for boards that are made for those. They say again what `pulse_*` says and
//! are recorded only when [asked for](crate::TelemetryBuilder::conventions).
//!
//! Over OTLP they have the conventions' names; on `/metrics` each dot is an underscore, as in `db_client_connection_count`.

use crate::metrics::definition::{Definition, Kind};

pub(crate) const POOL_NAME: &str = "db.client.connection.pool.name";
pub(crate) const STATE: &str = "db.client.connection.state";

/// Connections of a pool that are idle and used.
pub static CONNECTION_COUNT: Definition = Definition::convention(
    Kind::UpDownCounter,
    "db.client.connection.count",
    "{connection}",
    "Connections of the database pool by state: idle or used.",
    &[POOL_NAME, STATE],
    &[],
);

/// A pool's limit.
pub static CONNECTION_MAX: Definition = Definition::convention(
    Kind::UpDownCounter,
    "db.client.connection.max",
    "{connection}",
    "The most connections the database pool may open.",
    &[POOL_NAME],
    &[],
);

/// Who waits for a connection.
pub static CONNECTION_PENDING: Definition = Definition::convention(
    Kind::UpDownCounter,
    "db.client.connection.pending_requests",
    "{request}",
    "Requests that wait for a connection of the database pool right now.",
    &[POOL_NAME],
    &[],
);

/// Waits for a connection that timed out.
pub static CONNECTION_TIMEOUTS: Definition = Definition::convention(
    Kind::Counter,
    "db.client.connection.timeouts",
    "{timeout}",
    "Waits for a connection of the database pool that timed out.",
    &[POOL_NAME],
    &[],
);

/// How long that takes. The conventions leave the bounds open; these are those of `pulse_db_pool_acquire_duration_seconds`.
pub static CONNECTION_WAIT_TIME: Definition = Definition::convention(
    Kind::Histogram,
    "db.client.connection.wait_time",
    "s",
    "Time a request waited for a connection of the database pool, also if the wait failed.",
    &[POOL_NAME],
    &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0],
);

/// Requests to an HTTP server. `http.route` and `error.type` are left out where they are empty, the status is a number.
pub static HTTP_SERVER_REQUEST_DURATION: Definition = Definition::convention(
    Kind::Histogram,
    "http.server.request.duration",
    "s",
    "Duration of HTTP server requests.",
    &["error.type", "http.request.method", "http.response.status_code", "http.route", "url.scheme"],
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
);

/// All of them.
pub static DEFINITIONS: &[&Definition] =
    &[&CONNECTION_COUNT, &CONNECTION_MAX, &CONNECTION_PENDING, &CONNECTION_TIMEOUTS, &CONNECTION_WAIT_TIME, &HTTP_SERVER_REQUEST_DURATION];

#[cfg(test)]
mod tests {
    #[test]
    fn every_definition_is_sound() {
        for definition in super::DEFINITIONS {
            assert_eq!(definition.check(), Ok(()));
        }
    }
}
