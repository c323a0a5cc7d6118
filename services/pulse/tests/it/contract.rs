//! The metric contract, checked against a running demo and a Prometheus with the repository's rules: what is exported is what is documented,
//! every query of a board has data, every rule is evaluated, and nothing fires while all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pulse_boards::live::{Settings, check};
use pulse_telemetry::Kind;
use serde_json::Value;

use crate::api::client;
use crate::docs::SOURCES;
use crate::process::{SERVICES, Up};
use crate::stack::{Prometheus, Stack, eventually};

/// Label names by metric, a histogram's under its own name.
type Shapes = BTreeMap<String, BTreeSet<String>>;

/// What a service's /metrics shows.
async fn exported(url: &str) -> Shapes {
    let text = client().get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
    let histograms: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram")).collect();
    let mut shapes = Shapes::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).filter(|name| histograms.contains(name));
        let labels = labels.split("=\"").filter_map(|before| before.rsplit([',', '}', '"']).next());
        let labels = labels.filter(|label| !label.is_empty() && *label != "le").map(str::to_owned);
        shapes.entry(part.unwrap_or(name).to_owned()).or_default().extend(labels);
    }
    shapes
}

/// What docs/metrics.md says that a service shows.
fn documented(service: &str) -> Shapes {
    let own = SOURCES.iter().filter(|(source, _)| *source == "Every service" || *source == service);
    let definitions = own.flat_map(|(_, definitions)| *definitions);
    definitions
        .map(|definition| (definition.name.to_owned(), definition.labels.iter().map(|label| (*label).to_owned()).collect()))
        .collect()
}

/// Metrics of the kit that a service has only if it has what they are about.
fn is_optional(name: &str, service: &str) -> bool {
    // ui_api and ops_worker take nothing off a queue.
    name.starts_with("pulse_queue_") && ["ui_api", "ops_worker"].contains(&service)
}

async fn what_is_exported_is_documented(up: &Up) {
    for (index, service) in (0u16..).zip(SERVICES) {
        let (exported, documented) = (exported(&up.url(index)).await, documented(service));
        for (name, labels) in &exported {
            assert_eq!(Some(labels), documented.get(name), "{service} shows {name} otherwise than docs/metrics.md says");
        }
        let absent: Vec<_> = documented.keys().filter(|name| !exported.contains_key(*name) && !is_optional(name, service)).collect();
        assert!(absent.is_empty(), "{service} does not show what docs/metrics.md says it does: {absent:?}");
    }
    let kinds = SOURCES.iter().flat_map(|(_, definitions)| *definitions).map(|definition| definition.kind).collect::<Vec<_>>();
    assert!([Kind::Counter, Kind::Gauge, Kind::Histogram].iter().all(|kind| kinds.contains(kind)));
}

/// Every rule was evaluated without an error, and no alert fires.
async fn rules_are_well(prometheus: &Prometheus) -> Result<(), String> {
    let answer = prometheus.get("/api/v1/rules").await;
    let groups = answer["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 20, "{} rules", rules.len());
    let ill: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").map(|rule| &rule["name"]).collect();
    if !ill.is_empty() {
        return Err(format!("not evaluated: {ill:?}"));
    }
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}").await;
    assert!(firing.is_empty(), "all is well, but {firing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs otelcol and prometheus: run tools/test"]
async fn docs_boards_and_rules_speak_of_what_the_demo_shows() {
    let (stack, _collector) = Stack::start().await;
    let up = stack.pulse(&["--demo", "--devices", "100"]).await;
    for transport in ["scrape", "collector", "otlp"] {
        let settings = Settings {
            transport: transport.to_owned(),
            over: Duration::from_mins(1),
            // Four of this Prometheus's scrapes, and as many pushes.
            rate_interval: Duration::from_secs(5),
            ..Settings::new(&stack.prometheus.url)
        };
        eventually(Duration::from_mins(2), async || {
            let findings = check(&settings).await;
            let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
            if found.is_empty() { Ok(()) } else { Err(format!("{} findings by {transport}:\n{}", found.len(), found.join("\n"))) }
        })
        .await;
    }
    what_is_exported_is_documented(&up).await;
    // The rules of budgets are evaluated once a minute.
    eventually(Duration::from_secs(100), async || rules_are_well(&stack.prometheus).await).await;
    up.terminate();
}
