//! The definitions that the kit itself records.

use crate::metrics::definition::Definition;

/// 1 for the running build.
pub static BUILD_INFO: Definition =
    Definition::gauge("pulse_build_info", "1", "Always 1; the label version says which version runs.", &["service", "version"]);

/// Callbacks that panicked while they were read.
pub static CALLBACK_PANICS: Definition = Definition::counter(
    "pulse_telemetry_callback_panics_total",
    "{panic}",
    "Callbacks of observed metrics that panicked; their series were absent from that collection.",
    &["service"],
);

/// Pushes to the collector by signal and outcome; only of signals that are pushed.
pub static EXPORTS: Definition = Definition::counter(
    "pulse_telemetry_exports_total",
    "{export}",
    "Pushes over OTLP by signal (metrics, traces, logs) and outcome: success or error.",
    &["service", "signal", "outcome"],
);

/// When a push last succeeded.
pub static LAST_EXPORT: Definition = Definition::gauge(
    "pulse_telemetry_last_export_timestamp_seconds",
    "s",
    "Unix time of the last push of this signal that succeeded; 0 before the first.",
    &["service", "signal"],
);

/// Spans and log records that were lost. Metrics are running totals: the next push makes good for one that failed.
pub static ITEMS_DROPPED: Definition = Definition::counter(
    "pulse_telemetry_items_dropped_total",
    "{item}",
    "Spans and log records lost, by signal and reason: queue_full (made faster than pushed) or export (their push failed).",
    &["service", "signal", "reason"],
);

/// Log records held back as repetitions.
pub static LOGS_SUPPRESSED: Definition = Definition::counter(
    "pulse_telemetry_logs_suppressed_total",
    "{record}",
    "Log records held back because the same place in the code had logged too many in a short time.",
    &["service"],
);

/// How long a scrape took.
pub static SCRAPE_DURATION: Definition = Definition::gauge(
    "pulse_telemetry_scrape_duration_seconds",
    "s",
    "How long the previous answer of /metrics took to collect and write; 0 before the first.",
    &["service"],
);

/// How much a scrape answered.
pub static SCRAPE_SIZE: Definition = Definition::gauge(
    "pulse_telemetry_scrape_size_bytes",
    "By",
    "Size of the previous answer of /metrics; 0 before the first.",
    &["service"],
);

/// How full the budget of an open label is.
pub static LABEL_VALUES: Definition = Definition::gauge(
    "pulse_telemetry_label_values",
    "{value}",
    "Values of an open label (tenant_id) that have series of their own. Values beyond the budget share the value _other.",
    &["service", "label"],
);

/// Recordings past the budget of an open label.
pub static LABEL_OVERFLOWS: Definition = Definition::counter(
    "pulse_telemetry_label_overflows_total",
    "{recording}",
    "Recordings under the value _other, because the open label's (tenant_id) places were taken; each series of a snapshot that is summed there counts.",
    &["service", "label"],
);

/// Processor time of the process.
pub static PROCESS_CPU: Definition = Definition::counter(
    "pulse_process_cpu_seconds_total",
    "s",
    "Processor time the process has used, user and system. Services in one process all show the same.",
    &["service"],
);

/// Resident memory of the process.
pub static PROCESS_MEMORY: Definition =
    Definition::gauge("pulse_process_resident_memory_bytes", "By", "Resident memory of the process.", &["service"]);

/// Open file descriptors of the process.
pub static PROCESS_FDS: Definition =
    Definition::gauge("pulse_process_open_fds", "{fd}", "Open file descriptors of the process.", &["service"]);

/// The limit of open file descriptors.
pub static PROCESS_FDS_MAX: Definition =
    Definition::gauge("pulse_process_max_fds", "{fd}", "The most file descriptors the process may open.", &["service"]);

/// Threads of the process.
pub static PROCESS_THREADS: Definition = Definition::gauge("pulse_process_threads", "{thread}", "Threads of the process.", &["service"]);

/// When the process started.
pub static PROCESS_START: Definition =
    Definition::gauge("pulse_process_start_time_seconds", "s", "Unix time at which the process started.", &["service"]);

/// Worker threads of the tokio runtime.
pub static RUNTIME_WORKERS: Definition =
    Definition::gauge("pulse_runtime_workers", "{thread}", "Worker threads of the tokio runtime.", &["service"]);

/// How long those were busy.
pub static RUNTIME_BUSY: Definition = Definition::counter(
    "pulse_runtime_busy_seconds_total",
    "s",
    "Time the runtime's workers were busy, summed over them: its rate over pulse_runtime_workers is the busy ratio.",
    &["service"],
);

/// Tasks of the tokio runtime.
pub static RUNTIME_TASKS: Definition =
    Definition::gauge("pulse_runtime_tasks", "{task}", "Tasks alive in the tokio runtime.", &["service"]);

/// Tasks that wait for a worker.
pub static RUNTIME_QUEUE: Definition =
    Definition::gauge("pulse_runtime_queue_depth", "{task}", "Tasks that wait in the runtime's global queue for a worker.", &["service"]);

/// How often workers ran out of work.
pub static RUNTIME_PARKS: Definition =
    Definition::counter("pulse_runtime_parks_total", "{park}", "Times a worker of the runtime ran out of work and slept.", &["service"]);

/// How long operations took.
pub static PROCESSING_DURATION: Definition = Definition::histogram(
    "pulse_processing_duration_seconds",
    "s",
    "Time an operation took, also if it failed or was cancelled; waiting for work is not included.",
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
    "All items that wait in the queue; absent while its probe fails.",
    &["service", "queue_name"],
)
.shared();

/// How long the oldest item has waited.
pub static QUEUE_OLDEST_AGE: Definition = Definition::gauge(
    "pulse_queue_oldest_age_seconds",
    "s",
    "How long the oldest item in the queue has waited, 0 when it is empty; absent while its probe fails.",
    &["service", "queue_name"],
)
.shared();

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

/// Who waits for a connection.
pub static POOL_WAITING: Definition = Definition::gauge(
    "pulse_db_pool_waiting",
    "{request}",
    "Requests that wait for a connection of the database pool right now; on SQLite a writer that waits for its turn among all writers of the file is one.",
    &["service"],
);

/// How long that takes.
pub static POOL_ACQUIRE_DURATION: Definition = Definition::histogram(
    "pulse_db_pool_acquire_duration_seconds",
    "s",
    "Time a request waited for a connection of the database pool, also if the wait failed; on SQLite a writer's wait for its turn is included.",
    &["service"],
    &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0],
);

/// Waits for a connection that timed out.
pub static POOL_ACQUIRE_TIMEOUTS: Definition = Definition::counter(
    "pulse_db_pool_acquire_timeouts_total",
    "{timeout}",
    "Waits for a connection of the database pool that timed out.",
    &["service"],
);

/// All of them.
pub static DEFINITIONS: &[&Definition] = &[
    &BUILD_INFO,
    &CALLBACK_PANICS,
    &EXPORTS,
    &LAST_EXPORT,
    &ITEMS_DROPPED,
    &LOGS_SUPPRESSED,
    &SCRAPE_DURATION,
    &SCRAPE_SIZE,
    &LABEL_VALUES,
    &LABEL_OVERFLOWS,
    &PROCESS_CPU,
    &PROCESS_MEMORY,
    &PROCESS_FDS,
    &PROCESS_FDS_MAX,
    &PROCESS_THREADS,
    &PROCESS_START,
    &RUNTIME_WORKERS,
    &RUNTIME_BUSY,
    &RUNTIME_TASKS,
    &RUNTIME_QUEUE,
    &RUNTIME_PARKS,
    &PROCESSING_DURATION,
    &PROCESSING,
    &PROCESSING_LAST_SUCCESS,
    &QUEUE_DEPTH,
    &QUEUE_OLDEST_AGE,
    &QUEUE_PROBE_FAILURES,
    &POOL_SIZE,
    &POOL_FREE,
    &POOL_MAX,
    &POOL_WAITING,
    &POOL_ACQUIRE_DURATION,
    &POOL_ACQUIRE_TIMEOUTS,
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
