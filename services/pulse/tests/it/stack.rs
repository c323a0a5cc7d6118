//! The real programs beside Pulse: a collector, a Prometheus, and where the collector sends traces and logs. Each on free ports, with the
//! repository's own configuration, ended with its handle.

mod backend;
mod prometheus;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use backend::{Backend, Record, Span};
pub(crate) use prometheus::{Prometheus, Sample};

use tempfile::TempDir;

use crate::api::client;
use crate::process::{Up, free_ports};

/// How long a program may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A running program; killed when dropped.
struct Program(Child);

impl Program {
    /// Starts it and waits until `url` answers well.
    async fn start(mut command: Command, url: &str) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut program = Self(child.unwrap_or_else(|error| panic!("{name} is on the PATH, where tools/setup builds it: {error}")));
        let started = Instant::now();
        while !client().get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(program.0.try_wait().unwrap().is_none(), "{name} ended at its start");
            assert!(started.elapsed() < START_MAX, "{name} does not answer at {url}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// Where a collector listens, keeps and sends.
#[derive(Debug, Clone)]
pub(crate) struct CollectorPlan {
    /// The first of five ports: gRPC, HTTP, health, the exporter for Prometheus, its own metrics.
    pub(crate) ports: u16,
    /// Where its queues lie.
    pub(crate) storage: PathBuf,
    pub(crate) prometheus_port: u16,
    /// Where traces and logs go.
    pub(crate) backend_port: u16,
}

impl CollectorPlan {
    /// Starts it with `otel-collector.yaml`. `drop` or [`Collector::kill`] is a kill -9.
    pub(crate) async fn start(&self) -> Collector {
        let at = |offset: u16| format!("127.0.0.1:{}", self.ports + offset);
        let mut command = Command::new("otelcol");
        command.arg("--config").arg(repository("otel-collector.yaml")).envs([
            ("OTELCOL_GRPC_LISTEN", at(0)),
            ("OTELCOL_HTTP_LISTEN", at(1)),
            ("OTELCOL_HEALTH_LISTEN", at(2)),
            ("OTELCOL_PROMETHEUS_LISTEN", at(3)),
            ("OTELCOL_SELF_PORT", (self.ports + 4).to_string()),
            ("OTELCOL_STORAGE", self.storage.to_string_lossy().into_owned()),
            ("OTELCOL_METRICS_TO", format!("http://127.0.0.1:{}/api/v1/otlp", self.prometheus_port)),
            ("OTELCOL_TRACES_TO", format!("127.0.0.1:{}", self.backend_port)),
            ("OTELCOL_LOGS_TO", format!("http://127.0.0.1:{}", self.backend_port)),
        ]);
        Collector(Program::start(command, &format!("http://{}/", at(2))).await)
    }

    /// The variables that point Pulse at it, over gRPC, with everything pushed soon.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", self.ports)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "500".to_owned()),
        ]
    }
}

/// A running collector.
pub(crate) struct Collector(Program);

impl Collector {
    /// kill -9.
    pub(crate) fn kill(self) {
        drop(self.0);
    }
}

/// A collector and a Prometheus, and a Pulse beside them.
pub(crate) struct Stack {
    folder: TempDir,
    services: u16,
    pub(crate) plan: CollectorPlan,
    pub(crate) prometheus: Prometheus,
    _backend: Backend,
}

impl Stack {
    /// Starts both; the collector ends with its own handle.
    pub(crate) async fn start() -> (Self, Collector) {
        let folder = tempfile::tempdir().unwrap();
        let (services, ports, prometheus_port) = (free_ports(), free_ports(), free_ports());
        let backend = Backend::start().await;
        let plan = CollectorPlan { ports, storage: folder.path().join("otelcol"), prometheus_port, backend_port: backend.port };
        let collector = plan.start().await;
        let prometheus = Prometheus::start(&folder.path().join("prometheus"), prometheus_port, services, ports).await;
        (Self { folder, services, plan, prometheus, _backend: backend }, collector)
    }

    /// `pulse up`, scraped and pushing.
    pub(crate) async fn pulse(&self, arguments: &[&str]) -> Up {
        let environment = self.plan.environment();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Up::start(&self.folder.path().join("data"), self.services, arguments, &environment).await
    }
}

/// Waits until `look` finds something; what it says meanwhile is shown at the bound.
pub(crate) async fn eventually<T, F: AsyncFn() -> Result<T, String>>(within: Duration, look: F) -> T {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(why) => assert!(started.elapsed() < within, "after {within:?}: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
