//! A system under test with devices that report to it and a receiver that takes its messages.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use pulse_runtime::Shutdown;
use pulse_simulator::sink::behaviour::Behaviour;
use pulse_simulator::sink::{Sink, SinkSettings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::account::Account;
use crate::api::Api;
use crate::database::Database;
use crate::load::{Device, Load, LoadPlan, METRICS, THRESHOLD};
use crate::scale::Scale;
use crate::service::Service;
use crate::system::{Plan, System};
use crate::wait::until;

/// The tenant that everything belongs to.
pub const TENANT: &str = "acme";
/// Devices registered at once.
const REGISTER_MAX: usize = 200;
/// How long the load may take to make the progress that was asked for.
const PROGRESS_MAX: Duration = Duration::from_secs(120);

/// What a scenario is run with.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The program under test.
    pub program: PathBuf,
    /// The version that comes after it in a rolling restart; the same program where none is given.
    pub next_program: Option<PathBuf>,
    pub scale: Scale,
}

/// Who hears of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Hears of everything.
    All,
    /// Hears of severe alerts that open.
    Urgent,
}

impl Route {
    const EVERY: [Self; 2] = [Self::All, Self::Urgent];
    /// The least severity of the urgent ones.
    const URGENT_SEVERITY: u64 = 4;

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Urgent => "urgent",
        }
    }

    /// The route of this name.
    pub fn named(name: &str) -> Result<Self> {
        Self::EVERY.into_iter().find(|route| route.name() == name).with_context(|| format!("there is no route {name:?}"))
    }

    /// Whether it hears of such an event.
    pub fn wants(self, kind: &str, severity: u64) -> bool {
        match self {
            Self::All => true,
            Self::Urgent => kind == "OPEN" && severity >= Self::URGENT_SEVERITY,
        }
    }

    fn spec(self, integration_id: &Value) -> Value {
        match self {
            Self::All => json!({"name": self.name(), "integration_id": integration_id}),
            Self::Urgent => json!({"name": self.name(), "integration_id": integration_id, "deliver_on": ["OPEN"],
                                   "min_severity": Self::URGENT_SEVERITY}),
        }
    }
}

/// What a world is made with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// How many of each service; one where it is not said.
    pub replicas: BTreeMap<Service, usize>,
    /// Settings of this scenario's own.
    pub environment: Vec<(String, String)>,
    /// Where the database lies; a folder of its own where none is given.
    pub folder: Option<PathBuf>,
}

impl Setup {
    /// With a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A system with load on it.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    pub database: Database,
    pub system: System,
    pub sink: Sink,
    pub api: Api,
    pub load: Load,
    pub scale: Scale,
}

impl World {
    /// Starts everything and waits until readings flow through to the receiver.
    pub async fn start(bench: &Bench, setup: Setup) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = Database::sqlite(&bench.program, setup.folder.as_deref().unwrap_or(folder.path())).await?;
        let plan = Plan {
            program: bench.program.clone(),
            database: database.url.clone(),
            replicas: setup.replicas,
            environment: setup.environment,
        };
        let system = System::start(&plan).await?;
        let sink = Sink::start(SinkSettings::default(), &Shutdown::new()).await?;
        let urls = system.urls(Service::UiApi);
        let api = Api::new(urls.first().context("there is no ui_api")?, &database.token)?;
        let gateways = register(&api, &sink, &bench.scale).await?;
        let load = Load::start(&LoadPlan { tenant: TENANT.to_owned(), urls, gateways, interval: bench.scale.interval })?;
        let mut world = Self { folder, database, system, sink, api, load, scale: bench.scale.clone() };
        world.steady().await?;
        Ok(world)
    }

    /// A folder that ends with the world.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Waits until another [`Scale::steady`] readings are acknowledged and another message is delivered; how long the first reading took.
    pub async fn steady(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let (readings, messages) = (self.load.acknowledged(), self.sink.stats().delivered);
        let mut first = None;
        let (load, sink, wanted) = (&self.load, &self.sink, self.scale.steady);
        until(PROGRESS_MAX, "the load goes on", async || {
            let (done, delivered) = (load.acknowledged() - readings, sink.stats().delivered - messages);
            if done > 0 && first.is_none() {
                first = Some(started.elapsed());
            }
            if done >= wanted && delivered > 0 { Ok(()) } else { Err(format!("{done} readings, {delivered} messages")) }
        })
        .await?;
        self.system.check()?;
        Ok(first.unwrap_or_default())
    }

    /// How the receiver behaves from now on.
    pub fn behave(&self, behaviour: &Behaviour) -> Result<()> {
        self.sink.behave(behaviour).map_err(|wrong| anyhow!(wrong))
    }

    /// Waits until no job waits for its attempt any more, with the load going on: what was made before now has been tried.
    pub async fn settled(&self) -> Result<()> {
        let jobs = format!("/api/v1/tenants/{TENANT}/jobs");
        let before: HashSet<String> = self.api.all(&jobs).await?.iter().filter_map(id_if_unfinished).collect();
        until(self.scale.settle, "jobs are finished", async || {
            let now = self.api.all(&jobs).await.map_err(|error| format!("{error:#}"))?;
            let left = now.iter().filter_map(id_if_unfinished).filter(|id| before.contains(id)).count();
            if left == 0 { Ok(()) } else { Err(format!("{left} of {} are not", before.len())) }
        })
        .await
    }

    /// Ends the load, waits until nothing waits any more, and draws up the account, which must be right. Every process must end well.
    pub async fn finish(self) -> Result<Account> {
        let Self { folder: _folder, mut system, sink, api, load, scale, .. } = self;
        let tracks = load.stop().await?;
        let started = Instant::now();
        let account = loop {
            queues_are_empty(&system, scale.settle.saturating_sub(started.elapsed())).await?;
            let account = Account::of(&api, TENANT, &tracks, &sink).await?;
            let wrongs = account.wrongs();
            if wrongs.is_empty() {
                break account;
            }
            // Queues are counted now and then: what was between two of them at the count shows in the account.
            if started.elapsed() > scale.settle {
                bail!("the account is wrong after {:?}: {}\n{account}", scale.settle, wrongs.join("; "));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        system.check()?;
        system.terminate().await?;
        sink.stop().await;
        Ok(account)
    }
}

fn id_if_unfinished(job: &Value) -> Option<String> {
    let is_finished = job["state"] == "DELIVERED" || job["state"] == "DEAD";
    if is_finished { None } else { job["job_id"].as_str().map(str::to_owned) }
}

/// Waits until every queue is counted and empty.
async fn queues_are_empty(system: &System, within: Duration) -> Result<()> {
    until(within, "the queues are empty", async || {
        for service in [Service::Evaluator, Service::Dispatcher, Service::DeliveryWorker] {
            for scrape in system.scrape(service).await.map_err(|error| format!("{error:#}"))? {
                match scrape.sum("pulse_queue_depth", &[]) {
                    Some(0.0) => {}
                    depth => return Err(format!("{service} has a depth of {depth:?}")),
                }
            }
        }
        Ok(())
    })
    .await
}

/// The tenant with its devices, rules, receiver and routes; the devices of each gateway.
async fn register(api: &Api, sink: &Sink, scale: &Scale) -> Result<Vec<Vec<Device>>> {
    let path = |list: &str| format!("/api/v1/tenants/{TENANT}/{list}");
    api.post("/api/v1/tenants", &json!({"tenant_id": TENANT, "name": "Acme"})).await?;
    for metric in &METRICS {
        let rule =
            json!({"name": metric.name, "severity": metric.severity, "metric_name": metric.name, "operator": "GT", "threshold": THRESHOLD});
        api.post(&path("rules"), &rule).await?;
    }
    let destination = json!({"kind": "webhook", "url": sink.webhook_url(), "signing_secret": sink.signing_secret().reveal()});
    let integration = api.post(&path("integrations"), &json!({"name": "sink", "destination": destination})).await?;
    for route in Route::EVERY {
        api.post(&path("routes"), &route.spec(&integration["integration_id"])).await?;
    }
    let sizes = (0..scale.gateways).map(|number| if number == 0 { 1 } else { scale.gateway_devices as usize });
    let sizes: Vec<usize> = sizes.collect();
    let devices: Vec<Value> = (0..sizes.iter().sum())
        .map(|number: usize| json!({"device_id": format!("d{number:05}"), "site_id": "s1", "device_type": "freezer"}))
        .collect();
    let mut made = Vec::new();
    for devices in devices.chunks(REGISTER_MAX) {
        let answer = api.post(&path("devices/bulk"), &json!({"devices": devices})).await?;
        for device in answer["devices"].as_array().context("no devices were made")? {
            let field = |name: &str| device[name].as_str().map(str::to_owned).with_context(|| format!("a device has no {name}"));
            made.push(Device { device_id: field("device_id")?, token: field("token")? });
        }
    }
    let mut made = made.into_iter();
    Ok(sizes.iter().map(|size| made.by_ref().take(*size).collect()).collect())
}
