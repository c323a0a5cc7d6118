//! Metrics that are not Pulse's: those of Prometheus, those that its rules record, and those of the OpenTelemetry Collector 0.159 about itself.
//!
//! The collector's names are as its configuration has them here: without units and without `_total`, as its documentation writes them.

use pulse_telemetry::Kind;

use super::known::Known;

const TARGET: &[&str] = &["job", "instance"];

const fn counter(name: &'static str, labels: &'static [&'static str]) -> Known {
    Known { name, kind: Kind::Counter, labels, target_labels: TARGET, pulse: false, shared: false }
}

const fn gauge(name: &'static str, labels: &'static [&'static str]) -> Known {
    Known { name, kind: Kind::Gauge, labels, target_labels: TARGET, pulse: false, shared: false }
}

const fn histogram(name: &'static str, labels: &'static [&'static str]) -> Known {
    Known { name, kind: Kind::Histogram, labels, target_labels: TARGET, pulse: false, shared: false }
}

/// A series that grafana/prometheus/rules record, for each job and transport.
const fn recorded(name: &'static str) -> Known {
    Known { name, kind: Kind::Gauge, labels: &[], target_labels: &["transport", "job"], pulse: false, shared: false }
}

/// Labels of what a receiver took. Its transport is http or grpc, not Pulse's label of that name.
const RECEIVED: &[&str] = &["receiver", "transport"];
const SENT: &[&str] = &["exporter", "server_address", "server_port", "url_path"];
const QUEUED: &[&str] = &["exporter", "data_type"];

pub(super) const METRICS: &[Known] = &[
    gauge("up", &["transport"]),
    // An alert has the labels that its rule left on it; those of the target only if it kept them.
    Known {
        name: "ALERTS",
        kind: Kind::Gauge,
        labels: &["alertname", "alertstate", "severity", "job"],
        target_labels: &[],
        pulse: false,
        shared: false,
    },
    recorded("job:pulse_delivery_attempts_failed:ratio_rate1h"),
    recorded("job:pulse_delivery_attempts_failed:ratio_rate6h"),
    recorded("job:pulse_delivery_attempts_failed:ratio_rate3d"),
    recorded("job:pulse_alert_latency_late:ratio_rate1h"),
    recorded("job:pulse_alert_latency_late:ratio_rate6h"),
    recorded("job:pulse_alert_latency_late:ratio_rate3d"),
    gauge("otelcol_process_uptime", &[]),
    counter("otelcol_process_cpu_seconds", &[]),
    gauge("otelcol_process_memory_rss", &[]),
    gauge("otelcol_process_runtime_heap_alloc_bytes", &[]),
    counter("otelcol_receiver_accepted_metric_points", RECEIVED),
    counter("otelcol_receiver_accepted_spans", RECEIVED),
    counter("otelcol_receiver_accepted_log_records", RECEIVED),
    counter("otelcol_receiver_refused_metric_points", RECEIVED),
    counter("otelcol_receiver_refused_spans", RECEIVED),
    counter("otelcol_receiver_refused_log_records", RECEIVED),
    counter("otelcol_receiver_failed_metric_points", RECEIVED),
    counter("otelcol_receiver_failed_spans", RECEIVED),
    counter("otelcol_receiver_failed_log_records", RECEIVED),
    counter("otelcol_processor_incoming_items", &["processor", "otel_signal"]),
    counter("otelcol_processor_outgoing_items", &["processor", "otel_signal"]),
    histogram("otelcol_processor_batch_batch_send_size", &["processor"]),
    gauge("otelcol_exporter_queue_size", QUEUED),
    gauge("otelcol_exporter_queue_capacity", QUEUED),
    gauge("otelcol_exporter_in_flight_requests", QUEUED),
    counter("otelcol_exporter_sent_metric_points", SENT),
    counter("otelcol_exporter_sent_spans", SENT),
    counter("otelcol_exporter_sent_log_records", SENT),
    // The collector shows these only once there was a failure.
    counter("otelcol_exporter_send_failed_metric_points", SENT),
    counter("otelcol_exporter_send_failed_spans", SENT),
    counter("otelcol_exporter_send_failed_log_records", SENT),
    counter("otelcol_exporter_enqueue_failed_metric_points", &["exporter"]),
    counter("otelcol_exporter_enqueue_failed_spans", &["exporter"]),
    counter("otelcol_exporter_enqueue_failed_log_records", &["exporter"]),
];
