//! The definitions that the kit itself records.

use crate::definition::Definition;

/// 1 for the running build.
pub static BUILD_INFO: Definition = Definition::gauge("pulse_build_info", "1", "1, with the version that runs.", &["service", "version"]);

/// Callbacks that panicked while they were read.
pub static CALLBACK_PANICS: Definition = Definition::counter(
    "pulse_telemetry_callback_panics_total",
    "{panic}",
    "Callbacks of observed metrics that panicked; their series were absent from that collection.",
    &["service"],
);

/// Pushes to the collector by outcome; only while OTLP is on.
pub static EXPORTS: Definition = Definition::counter(
    "pulse_telemetry_exports_total",
    "{export}",
    "Pushes of metrics over OTLP, by outcome: success or error.",
    &["service", "outcome"],
);

/// How long operations took.
pub static PROCESSING_DURATION: Definition = Definition::histogram(
    "pulse_processing_duration_seconds",
    "s",
    "Time an operation took, failed and cancelled ones too; waiting for work is not in it.",
    &["service", "operation"],
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
);

/// Operations by outcome.
pub static PROCESSING: Definition = Definition::counter(
    "pulse_processing_total",
    "{operation}",
    "Operations by outcome: success, error or cancelled.",
    &["service", "operation", "outcome"],
);

/// When an operation last succeeded.
pub static PROCESSING_LAST_SUCCESS: Definition = Definition::gauge(
    "pulse_processing_last_success_timestamp_seconds",
    "s",
    "Unix time of the operation's last success; 0 before the first.",
    &["service", "operation"],
);

/// What waits in a queue.
pub static QUEUE_DEPTH: Definition = Definition::gauge(
    "pulse_queue_depth",
    "{item}",
    "Items that wait in the queue, all of them; absent while its probe fails.",
    &["service", "queue_name"],
);

/// How long the oldest item has waited.
pub static QUEUE_OLDEST_AGE: Definition = Definition::gauge(
    "pulse_queue_oldest_age_seconds",
    "s",
    "How long the oldest item in the queue has waited, 0 when it is empty; absent while its probe fails.",
    &["service", "queue_name"],
);

/// Probes of a queue that failed.
pub static QUEUE_PROBE_FAILURES: Definition = Definition::counter(
    "pulse_queue_probe_failures_total",
    "{failure}",
    "Probes of the queue that failed, panicked or took too long.",
    &["service", "queue_name"],
);

/// Connections of the database pool.
pub static POOL_SIZE: Definition =
    Definition::gauge("pulse_db_pool_size", "{connection}", "Open connections of the database pool, idle ones included.", &["service"]);

/// Idle connections of the database pool.
pub static POOL_FREE: Definition =
    Definition::gauge("pulse_db_pool_free", "{connection}", "Idle connections of the database pool.", &["service"]);

/// The database pool's limit.
pub static POOL_MAX: Definition =
    Definition::gauge("pulse_db_pool_max", "{connection}", "The most connections the database pool may open.", &["service"]);

/// All of them.
pub static DEFINITIONS: &[&Definition] = &[
    &BUILD_INFO,
    &CALLBACK_PANICS,
    &EXPORTS,
    &PROCESSING_DURATION,
    &PROCESSING,
    &PROCESSING_LAST_SUCCESS,
    &QUEUE_DEPTH,
    &QUEUE_OLDEST_AGE,
    &QUEUE_PROBE_FAILURES,
    &POOL_SIZE,
    &POOL_FREE,
    &POOL_MAX,
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_definition_of_the_kit_is_sound() {
        for definition in super::DEFINITIONS {
            assert_eq!(definition.check(), Ok(()));
        }
    }
}
