//! The same numbers by each of the three routes into Prometheus: every series that a service shows on /metrics is there scraped, through the
//! collector's exporter, and pushed on by the collector, with the same name, labels, bounds and value.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use crate::api::client;
use crate::process::{SERVICES, Up, finish, pulse};
use crate::stack::{Prometheus, Stack, eventually};

const TRANSPORTS: [&str; 3] = ["scrape", "collector", "otlp"];
/// What tells the ways apart; all other labels are the service's.
const WAY: [&str; 3] = ["job", "instance", "transport"];

/// What is read anew at each collection and goes up and down meanwhile: a value that is the same before and after may have been another when
/// it was pushed.
const MOVING: [&str; 7] = [
    "pulse_process_open_fds",
    "pulse_process_resident_memory_bytes",
    "pulse_process_threads",
    "pulse_runtime_queue_depth",
    "pulse_runtime_tasks",
    "pulse_telemetry_scrape_duration_seconds",
    "pulse_telemetry_scrape_size_bytes",
];

/// `name{label="value",…}` without the way, and the value.
type Series = BTreeMap<String, f64>;

/// Every line of a scrape.
async fn shown(url: &str) -> Series {
    let text = client().get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let mut labels: Vec<&str> = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()).collect();
            labels.sort_unstable();
            let labels: Vec<String> = labels.iter().map(|label| format!("{}\"", label.trim_end_matches('"'))).collect();
            (format!("{name}{{{}}}", labels.join(",")), value.parse().unwrap())
        })
        .collect()
}

/// What Prometheus has of a service by one way.
async fn arrived(prometheus: &Prometheus, service: &str, transport: &str) -> Series {
    let samples = prometheus.query(&format!("{{job=\"pulse/{service}\", transport=\"{transport}\", __name__=~\"pulse_.*\"}}")).await;
    samples
        .into_iter()
        // Recording rules keep the way in their labels and have a colon in their names.
        .filter(|sample| !sample.labels["__name__"].contains(':'))
        .map(|sample| {
            let own = sample.labels.iter().filter(|(label, _)| *label != "__name__" && !WAY.contains(&label.as_str()));
            let labels: Vec<String> = own.map(|(label, value)| format!("{label}=\"{value}\"")).collect();
            (format!("{}{{{}}}", sample.labels["__name__"], labels.join(",")), sample.value)
        })
        .collect()
}

/// Every service's /metrics.
async fn all_shown(up: &Up) -> Vec<Series> {
    futures::future::join_all((0..5).map(async |index| shown(&up.url(index)).await)).await
}

/// Holds what arrived against what was shown before and after: names and labels of all, values of those that stood still meanwhile.
async fn compare(up: &Up, prometheus: &Prometheus) -> Result<(), String> {
    let before = all_shown(up).await;
    // More than a push, a batch in the collector and a scrape.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut arrivals = Vec::new();
    for service in SERVICES {
        for transport in TRANSPORTS {
            arrivals.push((service, transport, arrived(prometheus, service, transport).await));
        }
    }
    let after = all_shown(up).await;
    for (service, transport, arrived) in arrivals {
        let index = SERVICES.iter().position(|name| *name == service).unwrap();
        check(&before[index], &arrived, &after[index]).map_err(|wrong| format!("{service} by {transport}: {wrong}"))?;
    }
    Ok(())
}

fn check(before: &Series, arrived: &Series, after: &Series) -> Result<(), String> {
    let lacks = |have: &Series, want: &Series| want.keys().filter(|series| !have.contains_key(*series)).cloned().collect::<Vec<_>>();
    let (missing, strange) = (lacks(arrived, before), lacks(after, arrived));
    if !missing.is_empty() || !strange.is_empty() {
        return Err(format!("missing {missing:?}, not on /metrics {strange:?}"));
    }
    let is_moving = |series: &str| MOVING.iter().any(|prefix| series.starts_with(prefix));
    let still: Vec<_> = before.iter().filter(|(series, value)| after.get(*series) == Some(value) && !is_moving(series)).collect();
    let wrong: Vec<_> = still.iter().filter(|(series, value)| (arrived[*series] - **value).abs() > 1e-9 * value.abs()).collect();
    if !wrong.is_empty() {
        return Err(format!("other values than {wrong:?}"));
    }
    // A third at least, so that this has compared something: an idle service still polls, and its queries are counted and timed.
    if still.len() * 3 < before.len() { Err(format!("only {} of {} stood still", still.len(), before.len())) } else { Ok(()) }
}

/// A fleet that reports and comes to its end: it leaves series of every kind, at rest.
async fn play(up: &Up) {
    let mut simulate = pulse();
    simulate.args(["simulate", "--url", &up.url(0), "--devices", "20", "--duration", "8s"]);
    simulate.env("PULSE_SIMULATE_TOKEN", up.token.as_ref().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || finish(simulate.spawn().unwrap(), Duration::from_secs(60))).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs otelcol and prometheus: run tools/test"]
async fn every_series_arrives_by_every_way_with_its_name_labels_bounds_and_value() {
    let (stack, _collector) = Stack::start().await;
    let up = stack.pulse(&["--delivery-allow-http", "--delivery-allowed-ranges", "127.0.0.0/8"]).await;
    play(&up).await;
    eventually(Duration::from_secs(60), async || compare(&up, &stack.prometheus).await).await;
    // The mission's own query, by each way.
    for transport in TRANSPORTS {
        let counts = stack
            .prometheus
            .query(&format!("sum by (service) (pulse_processing_duration_seconds_count{{transport=\"{transport}\"}})"))
            .await;
        let mut names: Vec<_> = counts.iter().map(|sample| sample.labels["service"].clone()).collect();
        names.sort_unstable();
        let mut wanted = SERVICES.map(str::to_owned);
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{transport}");
    }
    up.terminate();
}
