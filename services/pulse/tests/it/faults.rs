//! A collector that is away or misbehaves: Pulse works on, says so once, ends in time, and its metrics are right again afterwards.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::api::client;
use crate::process::{Up, free_ports};
use crate::stack::{Backend, CollectorPlan, Prometheus, Stack, eventually};

/// What `pulse up` promises for its end.
const END_MAX: Duration = Duration::from_secs(10);
/// What the demo may take in memory, whatever waits to be pushed.
const MEMORY_MAX_KIB: u64 = 300 << 10;

/// Successful cycles of the evaluator, by each route into Prometheus.
const CYCLES: &str = "sum by (transport) (pulse_processing_total{job=\"pulse/evaluator\", outcome=\"success\"})";

/// How a collector can be of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nobody listens.
    Away,
    /// It takes connections and never answers.
    Silent,
    Answers500,
    /// It answers well, after longer than a push may take.
    Slow,
}

/// A collector with a fault; ends when dropped.
struct Faulty(Option<AbortHandle>, String);

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Some(server) = &self.0 {
            server.abort();
        }
    }
}

async fn faulty(fault: Fault) -> Faulty {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = match fault {
        Fault::Away => None,
        Fault::Silent => Some(tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        })),
        Fault::Answers500 | Fault::Slow => Some(tokio::spawn(async move {
            let answer = axum::routing::any(async move || {
                if fault == Fault::Slow {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    return StatusCode::OK;
                }
                StatusCode::INTERNAL_SERVER_ERROR
            });
            axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap();
        })),
    };
    Faulty(server.map(|server| server.abort_handle()), endpoint)
}

/// Lines of the log that speak of pushing.
fn complaints(log: &str) -> Vec<&str> {
    let speaks = |line: &&str| line.contains("telemetry") || line.contains("opentelemetry");
    log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).filter(speaks).collect()
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn delivered(up: &Up) -> f64 {
    let text = client().get(format!("{}/metrics", up.url(3))).send().await.unwrap().text().await.unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("pulse_processing_total") && line.contains("delivery_attempt") && line.contains("success"));
    line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
}

async fn works_on(fault: Fault) {
    let folder = tempfile::tempdir().unwrap();
    let collector = faulty(fault).await;
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.1.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200"),
    ];
    let up = Up::start(folder.path(), free_ports(), &["--demo", "--devices", "100"], &environment).await;
    // Long enough for some twenty pushes of each signal of each service.
    eventually(Duration::from_secs(60), async || match delivered(&up).await {
        count if count >= 5.0 => Ok(()),
        count => Err(format!("{fault:?}: {count} deliveries")),
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(resident_kib(up.pid()) < MEMORY_MAX_KIB, "{fault:?}: {} KiB", resident_kib(up.pid()));
    let log = up.log();
    let said = complaints(&log).len();
    assert!(said == 1, "{fault:?}: one warning in the first minute, not {said}: {:?}", complaints(&log));
    // Ours, which names the service, the signal and the metric that counts.
    assert!(log.contains("telemetry cannot be pushed") && log.contains("signal="), "{fault:?}: {:?}", complaints(&log));
    let (code, took) = up.terminate();
    assert_eq!(code, Some(0), "{fault:?}");
    assert!(took < END_MAX, "{fault:?}: {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_is_said_once_and_holds_nothing_up() {
    works_on(Fault::Away).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_is_said_once_and_holds_nothing_up() {
    works_on(Fault::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_fails_is_said_once_and_holds_nothing_up() {
    works_on(Fault::Answers500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_slow_is_said_once_and_holds_nothing_up() {
    works_on(Fault::Slow).await;
}

/// Killed and started again: the running totals are what /metrics shows, and so is what was counted meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs otelcol and prometheus: run tools/test"]
async fn metrics_are_right_again_after_the_collector_was_killed() {
    let (stack, collector) = Stack::start().await;
    let up = stack.pulse(&[]).await;
    let agree = async || {
        let values = stack.prometheus.query(CYCLES).await;
        let scraped = values.iter().find(|sample| sample.labels["transport"] == "scrape").map(|sample| sample.value);
        let close = |sample: &&crate::stack::Sample| scraped.is_some_and(|scraped| (sample.value - scraped).abs() <= 5.0);
        if values.iter().filter(close).count() == 3 { Ok(scraped.unwrap()) } else { Err(format!("{values:?}")) }
    };
    let before = eventually(Duration::from_secs(30), agree).await;
    collector.kill();
    // The evaluator polls once a second: some cycles that only a later push can tell of.
    eventually(Duration::from_secs(30), async || {
        let values = stack.prometheus.query(CYCLES).await;
        let scraped = values.iter().find(|sample| sample.labels["transport"] == "scrape").map_or(0.0, |sample| sample.value);
        if scraped > before + 8.0 { Ok(()) } else { Err(format!("{scraped}")) }
    })
    .await;
    let _collector = stack.plan.start().await;
    let after = eventually(Duration::from_secs(30), agree).await;
    assert!(after > before + 8.0);
    up.terminate();
}

/// Nothing keeps the data but the collector's queue on disk: Pulse has ended and the collector was killed before Prometheus comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs otelcol and prometheus: run tools/test"]
async fn what_prometheus_missed_arrives_later_though_the_collector_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (services, ports, prometheus_port) = (free_ports(), free_ports(), free_ports());
    let backend = Backend::start().await;
    let plan = CollectorPlan { ports, storage: folder.path().join("otelcol"), prometheus_port, backend_port: backend.port };
    let collector = plan.start().await;
    let environment = plan.environment();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let up = Up::start(&folder.path().join("data"), services, &[], &environment).await;
    // Queued is what the collector has taken from its own batches: its own metrics tell.
    let own = format!("http://127.0.0.1:{}/metrics", ports + 4);
    eventually(Duration::from_secs(30), async || {
        let text = client().get(&own).send().await.unwrap().text().await.unwrap();
        let size = text.lines().find(|line| line.starts_with("otelcol_exporter_queue_size") && line.contains("otlp_http/metrics"));
        let queued = size.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).unwrap_or_default();
        if queued > 20_000.0 { Ok(()) } else { Err(format!("{queued} bytes wait")) }
    })
    .await;
    up.terminate();
    collector.kill();
    let prometheus = Prometheus::start(&folder.path().join("prometheus"), prometheus_port, services, ports).await;
    assert!(prometheus.query("count_over_time(pulse_build_info[10m])").await.is_empty(), "nobody is left to be scraped");
    let _collector = plan.start().await;
    eventually(Duration::from_secs(60), async || {
        let arrived = prometheus.query("count by (job) (count_over_time(pulse_build_info{transport=\"otlp\"}[10m]))").await;
        if arrived.len() == 5 { Ok(()) } else { Err(format!("{arrived:?}")) }
    })
    .await;
}
