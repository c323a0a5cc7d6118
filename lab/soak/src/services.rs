//! Pulse's services, each a process of its own, as in production.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::Client;
use tokio::process::{Child, Command};

use crate::machine::{self, Usage};

/// All five, in the order in which readings pass them.
pub(crate) const ALL: [&str; 5] = ["ui_api", "evaluator", "dispatcher", "delivery_worker", "ops_worker"];
/// How long a service may take until it is ready, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Below the ports that the kernel gives to outgoing connections, which start at 32,768.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How services are run.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct ProgramSettings {
    /// The program [default: pulse beside this one]
    #[arg(long, value_name = "FILE")]
    pulse: Option<PathBuf>,
    /// What the services log, on this program's standard error
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
    /// Another setting for all services, NAME=VALUE; may be given more than once
    #[arg(long = "set", value_name = "PULSE_…=VALUE")]
    set: Vec<String>,
}

impl ProgramSettings {
    /// With another setting, which those given on the command line come after.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let set = [format!("{name}={value}")].into_iter().chain(self.set.iter().cloned()).collect();
        Self { set, ..self.clone() }
    }

    fn program(&self) -> anyhow::Result<PathBuf> {
        let program = match &self.pulse {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("pulse"),
        };
        anyhow::ensure!(program.is_file(), "there is no {}: build it, or name it with --pulse", program.display());
        Ok(program)
    }
}

/// A running service; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// Its base URL.
    pub(crate) url: String,
    child: Child,
    pid: u32,
}

/// Starts services on a database and waits until each is ready.
pub(crate) async fn start(settings: &ProgramSettings, names: &[&'static str], database_url: &str) -> anyhow::Result<Vec<Service>> {
    let program = settings.program()?;
    let ports = free_ports(names.len())?;
    let urls: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let watch: Vec<String> = names.iter().zip(&urls).map(|(name, url)| format!("{name}={url}/health")).collect();
    let mut services = Vec::new();
    for ((name, port), url) in names.iter().copied().zip(ports).zip(urls) {
        let mut command = command(&program, settings, database_url)?;
        command.args(["run", name, "--listen", &format!("127.0.0.1:{port}")]).env("PULSE_OPS_WATCH", watch.join(","));
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        let pid = child.id().with_context(|| format!("{name} ended at once"))?;
        services.push(Service { name, url, child, pid });
    }
    let client = pulse_simulator::client::build(|builder| builder)?;
    for service in &mut services {
        service.ready(&client).await?;
    }
    Ok(services)
}

/// The program with no settings in its environment but these. The database's URL may hold a password and so is no argument.
fn command(program: &Path, settings: &ProgramSettings, database_url: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PULSE_") || name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.envs([
        ("PULSE_DATABASE", database_url),
        ("PULSE_LOG", &settings.log),
        // The sink is on this machine.
        ("PULSE_DELIVERY_ALLOW_HTTP", "true"),
        ("PULSE_DELIVERY_ALLOWED_RANGES", "127.0.0.0/8"),
    ]);
    for setting in &settings.set {
        let (name, value) = setting.split_once('=').with_context(|| format!("--set {setting:?} must be NAME=VALUE"))?;
        command.env(name, value);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

impl Service {
    async fn ready(&mut self, client: &Client) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("{} ended at start: {status}", self.name);
            }
            let answer = client.get(format!("{}/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{} is not ready after {PATIENCE:?}", self.name);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        machine::usage(self.pid).with_context(|| format!("{} has ended", self.name))
    }

    /// Its /metrics.
    pub(crate) async fn scrape(&self, client: &Client) -> anyhow::Result<String> {
        let answer = client.get(format!("{}/metrics", self.url)).send().await;
        let text = async { anyhow::Ok(answer?.error_for_status()?.text().await?) };
        text.await.with_context(|| format!("{} shows no metrics", self.name))
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid.to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await?;
        anyhow::ensure!(sent.success(), "{} cannot be asked to end", self.name);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.with_context(|| format!("{} does not end", self.name))??;
        anyhow::ensure!(ended.success(), "{} ended badly: {ended}", self.name);
        Ok(())
    }
}

fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let first = PORTS.start + u16::try_from(std::process::id() % 1_000)? * 10;
    let free: Vec<u16> = (first..PORTS.end).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect();
    anyhow::ensure!(free.len() == count, "there are no {count} free ports");
    Ok(free)
}
