//! Prometheus with the repository's configuration, rules included, at a pace for tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Program, repository};
use crate::api::client;
use crate::process::SERVICES;

/// A running Prometheus.
pub(crate) struct Prometheus {
    _program: Program,
    pub(crate) url: String,
}

/// One series' value.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Prometheus {
    /// Scrapes the five services from `services` on, and a collector whose ports begin at `collector`. Its data lies in `folder`.
    pub(crate) async fn start(folder: &Path, port: u16, services: u16, collector: u16) -> Self {
        configure(folder, services, collector);
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-otlp-receiver", "--enable-feature=exemplar-storage"]);
        let program = Program::start(command, &format!("{url}/-/ready")).await;
        Self { _program: program, url }
    }

    /// What an instant query finds.
    pub(crate) async fn query(&self, query: &str) -> Vec<Sample> {
        let answer = client().get(format!("{}/api/v1/query", self.url)).query(&[("query", query)]).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().iter().map(sample).collect()
    }

    /// Anything it serves, as JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        client().get(format!("{}{path}", self.url)).send().await.unwrap().json().await.unwrap()
    }
}

fn sample(series: &Value) -> Sample {
    let labels = series["metric"].as_object().unwrap().iter();
    Sample {
        labels: labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
        value: series["value"][1].as_str().unwrap().parse().unwrap(),
    }
}

/// The files as they are in the repository, but for the pace and the targets.
fn configure(folder: &Path, services: u16, collector: u16) {
    let text = std::fs::read_to_string(repository("grafana/prometheus/prometheus.yml")).unwrap();
    let mut quick = text.clone();
    for (slow, fast) in [
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("scrape_timeout: 10s", "scrape_timeout: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ] {
        assert_eq!(quick.matches(slow).count(), 1, "{slow}");
        quick = quick.replace(slow, fast);
    }
    std::fs::create_dir_all(folder.join("rules")).unwrap();
    std::fs::create_dir_all(folder.join("targets")).unwrap();
    std::fs::write(folder.join("prometheus.yml"), quick).unwrap();
    for file in std::fs::read_dir(repository("grafana/prometheus/rules")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join("rules").join(file.file_name())).unwrap();
    }
    let mut targets = String::new();
    for (port, service) in (services..).zip(SERVICES) {
        writeln!(targets, "- targets: [\"127.0.0.1:{port}\"]\n  labels: {{ job: pulse/{service} }}").unwrap();
    }
    let one = |port: u16| format!("- targets: [\"127.0.0.1:{port}\"]\n");
    for (file, text) in
        [("services.yml", targets), ("collector-exporter.yml", one(collector + 3)), ("collector-itself.yml", one(collector + 4))]
    {
        std::fs::write(folder.join("targets").join(file), text).unwrap();
    }
}
