//! A system under test: each service in processes of its own on one database, each process on a port of its own.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use tempfile::TempDir;

use crate::process::Process;
use crate::scrape::Scrape;
use crate::service::Service;
use crate::wait::until;

/// How long a service may take to be ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long a service may take to end after SIGTERM: a drain and the last push.
pub const END_MAX: Duration = Duration::from_secs(15);
/// How long `/ready` and `/metrics` may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Ports that are looked for in a row.
const PORTS: u16 = 10;
/// How much of a log an error shows, in lines.
const LOG_SHOWN: usize = 12;

/// The setting that names the database: its URL may hold a password, which the list of processes would show of an argument.
pub(crate) const DATABASE: &str = "PULSE_DATABASE";

/// Leases short enough that what a killed process held comes back within seconds, queues counted often, and a receiver on this machine.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PULSE_DELIVERY_ALLOW_HTTP", "true"),
    ("PULSE_DELIVERY_ALLOWED_RANGES", "127.0.0.0/8"),
    ("PULSE_DELIVERY_TIMEOUT", "2s"),
    ("PULSE_DELIVERY_LEASE", "4s"),
    ("PULSE_DELIVERY_POLL", "200ms"),
    ("PULSE_DELIVERY_RETRY_BASE", "500ms"),
    ("PULSE_DELIVERY_RETRY_MAX", "3s"),
    ("PULSE_DELIVERY_ATTEMPTS_MAX", "100"),
    ("PULSE_DELIVERY_QUEUE_PROBE", "500ms"),
    ("PULSE_DISPATCHER_LEASE", "4s"),
    ("PULSE_DISPATCHER_POLL", "200ms"),
    ("PULSE_DISPATCHER_BACKOFF_MAX", "1s"),
    ("PULSE_DISPATCHER_PROBE_EVERY", "500ms"),
    ("PULSE_EVALUATOR_LEASE", "4s"),
    ("PULSE_EVALUATOR_CYCLE_DEADLINE", "3s"),
    ("PULSE_EVALUATOR_POLL", "200ms"),
    ("PULSE_EVALUATOR_BACKOFF_MAX", "1s"),
    ("PULSE_EVALUATOR_PROBE_EVERY", "500ms"),
    ("PULSE_OPS_EXPIRY_INTERVAL", "1s"),
    ("PULSE_OPS_BACKOFF_MAX", "1s"),
    // No device is taken for silent while a fault keeps its readings away.
    ("PULSE_HEARTBEAT_STALE", "1h"),
    ("PULSE_LOG", "info"),
];

/// The program with no settings of ours in its environment.
pub fn pulse(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PULSE_") || name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command
}

/// A base from which ten ports in a row are free; each call in this process looks further on.
pub fn free_ports() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 1_200)? * PORTS;
    // Below the ports that the kernel gives to outgoing connections, which start at 32,768.
    let bases = (0..1_000).map(|_| 20_000 + (offset + NEXT.fetch_add(PORTS, Ordering::Relaxed)) % 12_000);
    let mut free = bases.filter(|base| (*base..base + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()));
    free.next().context("there are no ten free ports in a row")
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub program: PathBuf,
    /// As `PULSE_DATABASE` takes it.
    pub database: String,
    /// How many of each; one where it is not said.
    pub replicas: BTreeMap<Service, usize>,
    /// On top of what all scenarios have.
    pub environment: Vec<(String, String)>,
}

/// One process of a service, running or not.
#[derive(Debug)]
pub struct Instance {
    pub service: Service,
    port: u16,
    /// What it is started with: the program of the plan, unless a scenario says otherwise.
    pub program: PathBuf,
    pub environment: Vec<(String, String)>,
    log: PathBuf,
    process: Option<Process>,
}

impl Instance {
    /// The base of its addresses.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Starts it; [`System::ready`] waits for it.
    pub fn start(&mut self, database: &str) -> Result<()> {
        let mut command = pulse(&self.program);
        command.args(["run", self.service.name(), "--listen", &format!("127.0.0.1:{}", self.port)]).env(DATABASE, database);
        command.envs(ENVIRONMENT.iter().copied()).envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&mut command, &self.log)?);
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().with_context(|| format!("{} does not run", self.service))?.kill()
    }

    /// SIGTERM, which it must follow in time and well.
    pub async fn terminate(&mut self) -> Result<Duration> {
        let process = self.process.take().with_context(|| format!("{} does not run", self.service))?;
        process.terminate(END_MAX).await.with_context(|| self.tell())
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its name and the end of its log.
    fn tell(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("{}:\n{}", self.service, lines[lines.len().saturating_sub(LOG_SHOWN)..].join("\n"))
    }
}

/// All processes of a system; they end with it.
#[derive(Debug)]
pub struct System {
    _logs: TempDir,
    client: reqwest::Client,
    pub database: String,
    pub instances: Vec<Instance>,
}

impl System {
    /// Starts everything and waits until it is ready.
    pub async fn start(plan: &Plan) -> Result<Self> {
        let logs = tempfile::tempdir()?;
        let client = pulse_simulator::client::build(|builder| builder.timeout(ASK_TIMEOUT))?;
        let mut instances = Vec::new();
        for service in Service::ALL {
            let ports = free_ports()?;
            for number in 0..plan.replicas.get(&service).copied().unwrap_or(1) {
                instances.push(Instance {
                    service,
                    port: ports + u16::try_from(number)?,
                    program: plan.program.clone(),
                    environment: plan.environment.clone(),
                    log: logs.path().join(format!("{service}-{number}.log")),
                    process: None,
                });
            }
        }
        let mut system = Self { _logs: logs, client, database: plan.database.clone(), instances };
        for instance in &mut system.instances {
            instance.start(&plan.database)?;
        }
        system.ready().await?;
        Ok(system)
    }

    /// The processes of one service.
    pub fn of(&mut self, service: Service) -> impl Iterator<Item = &mut Instance> {
        self.instances.iter_mut().filter(move |instance| instance.service == service)
    }

    /// The base URLs of one service.
    pub fn urls(&self, service: Service) -> Vec<String> {
        self.instances.iter().filter(|instance| instance.service == service).map(Instance::url).collect()
    }

    /// Starts what does not run, and waits until all are ready.
    pub async fn resume(&mut self) -> Result<()> {
        for instance in self.instances.iter_mut().filter(|instance| instance.process.is_none()) {
            instance.start(&self.database)?;
        }
        self.ready().await
    }

    /// Waits until every process that runs is ready.
    pub async fn ready(&mut self) -> Result<()> {
        for instance in &mut self.instances {
            let url = format!("{}/ready", instance.url());
            let Some(process) = &mut instance.process else { continue };
            let (client, mut ended) = (&self.client, None);
            let ready = until(READY_MAX, "ready", async || {
                ended = process.check().err();
                if ended.is_some() {
                    return Ok(());
                }
                let answer = client.get(&url).send().await.map_err(|error| error.to_string())?;
                let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
                if status.is_success() { Ok(()) } else { Err(format!("{status} {text}")) }
            });
            ready.await.and_then(|()| ended.map_or(Ok(()), Err)).with_context(|| instance.tell())?;
        }
        Ok(())
    }

    /// Fails when a process that should run has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        for instance in &mut self.instances {
            if let Some(process) = &mut instance.process {
                process.check().with_context(|| instance.tell())?;
            }
        }
        Ok(())
    }

    /// The end of each process's log.
    pub fn tell(&self) -> String {
        self.instances.iter().map(Instance::tell).collect::<Vec<_>>().join("\n")
    }

    /// `/metrics` of each process of a service.
    pub async fn scrape(&self, service: Service) -> Result<Vec<Scrape>> {
        let mut scrapes = Vec::new();
        for url in self.urls(service) {
            let answer = self.client.get(format!("{url}/metrics")).send().await?;
            ensure!(answer.status().is_success(), "{service}: /metrics says {}", answer.status());
            scrapes.push(Scrape::parse(&answer.text().await?)?);
        }
        Ok(scrapes)
    }

    /// SIGTERM to all, each of which must end in time and well.
    pub async fn terminate(mut self) -> Result<()> {
        let running = self.instances.iter_mut().filter(|instance| instance.process.is_some());
        try_join_all(running.map(Instance::terminate)).await?;
        Ok(())
    }
}
