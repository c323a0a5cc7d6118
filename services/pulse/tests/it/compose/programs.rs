//! The mounted files in the hands of the programs that read them, laid out and told of as compose.yaml has it.

use std::path::Path;
use std::process::Command;

use super::stack::{Stack, file};

fn succeeds(mut command: Command, hint: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{hint}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
#[ignore = "needs otelcol: run tools/test"]
fn the_collector_takes_its_file_with_its_environment() {
    let stack = Stack::of_the_repository();
    let collector = stack.service("otel-collector");
    let mut otelcol = Command::new("otelcol");
    otelcol.args(["validate", "--config"]).arg(file("otel-collector.yaml"));
    otelcol.envs(collector.environment().filter_map(|(name, value)| Some((name, value?))));
    // The volume, which is at home in the container.
    let storage = tempfile::tempdir().unwrap();
    otelcol.env("OTELCOL_STORAGE", storage.path());
    succeeds(otelcol, "otelcol is on the PATH: tools/setup builds it");
    let folder = collector.environment().find(|(name, _)| *name == "OTELCOL_STORAGE").and_then(|(_, value)| value).unwrap();
    assert!(collector.mounts().contains(&("otel-collector", folder.as_str())), "its folder is no volume");
}

/// Copies what is mounted below `/etc/prometheus` to where it is seen from there.
#[test]
#[ignore = "needs promtool: run tools/test"]
fn prometheus_takes_its_files_as_they_are_mounted() {
    let stack = Stack::of_the_repository();
    let folder = tempfile::tempdir().unwrap();
    for (source, target) in stack.service("prometheus").mounts() {
        let Some(target) = target.trim_end_matches(":ro").strip_prefix("/etc/prometheus/") else { continue };
        copy(&file(source), &folder.path().join(target));
    }
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "config"]).arg(folder.path().join("prometheus.yml"));
    succeeds(promtool, "promtool is on the PATH: tools/setup builds it");
    assert!(std::fs::read_to_string(folder.path().join("targets/services.yml")).unwrap().contains("ui_api:8080"));
}

#[test]
#[ignore = "needs Prometheus: run tools/test"]
fn prometheus_knows_its_flags() {
    let stack = Stack::of_the_repository();
    let mut prometheus = Command::new("prometheus");
    prometheus.args(stack.service("prometheus").command()).arg("--help");
    succeeds(prometheus, "prometheus is on the PATH: tools/setup builds it");
}

#[test]
#[ignore = "needs promtool: run tools/test"]
fn the_health_check_of_prometheus_is_a_command_of_promtool() {
    let stack = Stack::of_the_repository();
    let test = super::strings(&stack.service("prometheus").value["healthcheck"]["test"]);
    assert_eq!(test[..2], ["CMD", "promtool"]);
    let mut promtool = Command::new("promtool");
    promtool.args(&test[2..]).arg("--help");
    succeeds(promtool, "promtool is on the PATH: tools/setup builds it");
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}
