//! otel-collector.yaml: the collector takes it, and it holds what it promises: order, endless retry, queues on disk, no address but from outside.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The collector's own metrics that rules read, with their labels beside job and instance.
pub(crate) const OWN_METRICS: &[(&str, &[&str])] = &[
    ("otelcol_exporter_enqueue_failed_log_records", &["exporter"]),
    ("otelcol_exporter_enqueue_failed_metric_points", &["exporter"]),
    ("otelcol_exporter_enqueue_failed_spans", &["exporter"]),
    ("otelcol_exporter_queue_capacity", &["exporter", "data_type"]),
    ("otelcol_exporter_queue_size", &["exporter", "data_type"]),
    ("otelcol_exporter_send_failed_log_records", &["exporter"]),
    ("otelcol_exporter_send_failed_metric_points", &["exporter"]),
    ("otelcol_exporter_send_failed_spans", &["exporter"]),
    ("otelcol_exporter_sent_log_records", &["exporter"]),
    ("otelcol_exporter_sent_metric_points", &["exporter"]),
    ("otelcol_exporter_sent_spans", &["exporter"]),
    ("otelcol_receiver_failed_log_records", &["receiver", "transport"]),
    ("otelcol_receiver_failed_metric_points", &["receiver", "transport"]),
    ("otelcol_receiver_failed_spans", &["receiver", "transport"]),
    ("otelcol_receiver_refused_log_records", &["receiver", "transport"]),
    ("otelcol_receiver_refused_metric_points", &["receiver", "transport"]),
    ("otelcol_receiver_refused_spans", &["receiver", "transport"]),
];

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../otel-collector.yaml")
}

fn config() -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value))
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn memory_is_guarded_first_and_batches_are_made_last() {
    let config = config();
    let pipelines: Vec<_> = entries(&config["service"]["pipelines"]).collect();
    assert_eq!(pipelines.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["logs", "metrics/pushed", "metrics/scraped", "traces"]);
    for (name, pipeline) in pipelines {
        let processors = names(&pipeline["processors"]);
        assert_eq!((processors.first(), processors.last()), (Some(&"memory_limiter"), Some(&"batch")), "{name}");
        assert_eq!(names(&pipeline["receivers"]), ["otlp"], "{name}");
        assert_eq!(processors.contains(&"resource/pushed"), name == "metrics/pushed", "only what is pushed is marked so: {name}");
    }
}

#[test]
fn exporters_over_the_network_never_give_up_and_queue_on_the_disk() {
    let config = config();
    assert_eq!(names(&config["service"]["extensions"]), ["health_check", "file_storage"]);
    let network: Vec<_> = entries(&config["exporters"]).filter(|(name, _)| name.starts_with("otlp")).collect();
    assert_eq!(network.len(), 3);
    for (name, exporter) in network {
        assert_eq!(exporter["retry_on_failure"]["enabled"], Value::Bool(true), "{name}");
        assert_eq!(exporter["retry_on_failure"]["max_elapsed_time"], Value::from(0), "{name}");
        assert_eq!(exporter["sending_queue"]["storage"], Value::from("file_storage"), "{name}");
    }
}

/// Every text that is an address, a folder or a port, by where it stands.
fn places<'a>(at: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    if let Value::Object(members) = value {
        for (name, value) in members {
            if ["endpoint", "directory", "host", "port"].contains(&name.as_str()) {
                found.push((format!("{at}.{name}"), value));
            }
            places(&format!("{at}.{name}"), value, found);
        }
    }
    if let Value::Array(items) = value {
        items.iter().for_each(|item| places(at, item, found));
    }
}

#[test]
fn every_address_comes_from_the_environment_and_is_this_machine_by_default() {
    let (config, mut found) = (config(), Vec::new());
    places("", &config, &mut found);
    assert_eq!(found.len(), 11, "{found:?}");
    for (at, value) in found {
        let (variable, default) = value.as_str().and_then(|text| text.strip_prefix("${env:OTELCOL_")?.split_once(":-")).unwrap_or_default();
        assert!(!variable.is_empty(), "{at} is {value}");
        assert!(
            ["127.0.0.1", "http://127.0.0.1:", "/var/lib/otelcol", "8888"].iter().any(|here| default.starts_with(here)),
            "{at}: {default}"
        );
    }
}

#[test]
#[ignore = "needs otelcol: run tools/test"]
fn the_collector_takes_it_with_and_without_what_keeps_traces_and_logs() {
    let folder = tempfile::tempdir().unwrap();
    for (traces, logs) in [("otlp_grpc/traces", "otlp_http/logs"), ("debug", "debug")] {
        let mut otelcol = Command::new("otelcol");
        otelcol.args(["validate", "--config"]).arg(file()).env("OTELCOL_STORAGE", folder.path());
        otelcol.envs([("OTELCOL_TRACES_EXPORTER", traces), ("OTELCOL_LOGS_EXPORTER", logs)]);
        let output = otelcol.output().expect("otelcol is on the PATH: tools/setup builds it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Most of them are shown only once something has failed, so they are looked for in the program itself.
#[test]
#[ignore = "needs otelcol: run tools/test"]
fn the_collector_has_the_metrics_that_rules_read() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path).map(|folder| folder.join("otelcol")).find(|program| program.is_file());
    let bytes = std::fs::read(program.expect("otelcol is on the PATH: tools/setup builds it")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for (name, _) in OWN_METRICS {
        assert!(text.contains(name), "the collector has no {name}");
    }
    assert!(!text.contains("otelcol_exporter_sent_nothing"));
}
