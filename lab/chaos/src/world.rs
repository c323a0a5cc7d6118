//! A system under test with devices that report to it and a receiver that takes its messages.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use pulse_runtime::Shutdown;
use pulse_simulator::sink::behaviour::Behaviour;
use pulse_simulator::sink::{Sink, SinkSettings};
use serde_json::Value;
use tempfile::TempDir;

use crate::account::Account;
use crate::api::Api;
use crate::database::{Database, Product, Reached};
use crate::load::{Load, LoadPlan, Tracks};
use crate::queue::Queue;
use crate::registry::{TENANT, register};
use crate::scale::Scale;
use crate::service::Service;
use crate::system::{Plan, System};
use crate::wait::until;

/// How long the load may take to make the progress that was asked for.
const PROGRESS_MAX: Duration = Duration::from_secs(120);
/// Between two accounts of which the first was not right yet.
const BETWEEN_ACCOUNTS: Duration = Duration::from_millis(200);

/// What a scenario is run with.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The program under test.
    pub program: PathBuf,
    /// The version that comes after it in a rolling restart; the same program where none is given.
    pub next_program: Option<PathBuf>,
    pub product: Product,
    pub scale: Scale,
}

/// What a world is made with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// How many of each service; one where it is not said.
    pub replicas: BTreeMap<Service, usize>,
    /// Settings of this scenario's own.
    pub environment: Vec<(String, String)>,
    /// Where a database that is a file lies; a folder of its own where none is given.
    pub folder: Option<PathBuf>,
    /// How a database that is a server is reached.
    pub reached: Reached,
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
    _folder: TempDir,
    pub database: Database,
    pub system: System,
    pub sink: Sink,
    pub api: Api,
    load: Reporting,
    pub scale: Scale,
    /// What else there is to tell, for the account.
    pub notes: BTreeMap<&'static str, Vec<Value>>,
}

/// Whether devices report.
#[derive(Debug)]
enum Reporting {
    Still(Load),
    NoMore(Tracks),
}

impl World {
    /// Starts everything and waits until readings flow through to the receiver.
    pub async fn start(bench: &Bench, setup: Setup) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let lies_in = setup.folder.as_deref().unwrap_or(folder.path());
        let database = Database::create(bench.product, &bench.program, lies_in, setup.reached).await?;
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
        let load = Reporting::Still(load);
        let mut world = Self { _folder: folder, database, system, sink, api, load, scale: bench.scale.clone(), notes: BTreeMap::new() };
        world.steady().await?;
        Ok(world)
    }

    /// Waits until another [`Scale::steady`] readings are acknowledged and another message is delivered. How long the first reading took is
    /// noted: after a fault it is how long devices waited.
    pub async fn steady(&mut self) -> Result<()> {
        let started = Instant::now();
        let (readings, messages) = (self.acknowledged(), self.sink.stats().delivered);
        let mut first = None;
        let wanted = self.scale.steady;
        self.wait(PROGRESS_MAX, "the load goes on", async |world| {
            let (done, delivered) = (world.acknowledged() - readings, world.sink.stats().delivered - messages);
            if done > 0 && first.is_none() {
                first = Some(started.elapsed());
            }
            if done >= wanted && delivered > 0 { Ok(()) } else { Err(format!("{done} readings, {delivered} messages")) }
        })
        .await?;
        self.note("first_reading_after_s", first.unwrap_or_default().as_secs_f64());
        Ok(())
    }

    /// Notes something for the account.
    pub fn note(&mut self, what: &'static str, value: impl Into<Value>) {
        self.notes.entry(what).or_default().push(value.into());
    }

    /// Looks until there is something to be found. Fails when a device gives up or a process ends meanwhile, and then shows the logs.
    pub async fn wait<T>(&mut self, within: Duration, what: &str, mut look: impl AsyncFnMut(&Self) -> Result<T, String>) -> Result<T> {
        let found = until(within, what, async || {
            if let Err(error) = self.check() {
                return Ok(Err(error));
            }
            look(self).await.map(Ok)
        });
        found.await.flatten().with_context(|| self.system.tell())
    }

    /// Fails when a device has given up or a process has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        if let Reporting::Still(load) = &self.load {
            load.check()?;
        }
        self.system.check()
    }

    /// Readings acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        match &self.load {
            Reporting::Still(load) => load.acknowledged(),
            Reporting::NoMore(tracks) => tracks.devices.iter().map(|track| track.acknowledged.len() as u64).sum(),
        }
    }

    /// Posts answered with this status so far; 0 is for those without an answer.
    pub fn answers(&self, status: u16) -> u64 {
        match &self.load {
            Reporting::Still(load) => load.answers(status),
            Reporting::NoMore(tracks) => tracks.answers.get(&status).copied().unwrap_or_default(),
        }
    }

    /// Ends the load.
    pub async fn quiet(&mut self) -> Result<()> {
        if let Reporting::Still(load) = &mut self.load {
            self.load = Reporting::NoMore(load.stop().await?);
        }
        Ok(())
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

    /// The account as it stands, once the load has ended.
    pub async fn account(&self) -> Result<Account> {
        let Reporting::NoMore(tracks) = &self.load else { bail!("the devices report still") };
        let account = Account::of(&self.api, TENANT, tracks, &self.sink).await?;
        Ok(Account { notes: self.notes.clone(), ..account })
    }

    /// Ends the load, waits until nothing waits any more, and draws up the account, which must be right. Every process must end well.
    pub async fn finish(mut self) -> Result<Account> {
        self.quiet().await?;
        let started = Instant::now();
        let account = loop {
            let within = self.scale.settle.saturating_sub(started.elapsed());
            for queue in Queue::EVERY {
                queue.empty(&self.system, within).await?;
            }
            let account = self.account().await?;
            let wrongs = account.wrongs();
            if wrongs.is_empty() {
                break account;
            }
            // Queues are counted now and then: what was between two of them at the count shows in the account.
            if started.elapsed() > self.scale.settle {
                let told = self.system.tell();
                bail!("the account is wrong after {:?}: {}\n{account}\n{told}", self.scale.settle, wrongs.join("; "));
            }
            tokio::time::sleep(BETWEEN_ACCOUNTS).await;
        };
        self.system.check()?;
        self.system.terminate().await?;
        self.sink.stop().await;
        Ok(account)
    }
}

fn id_if_unfinished(job: &Value) -> Option<String> {
    let is_finished = job["state"] == "DELIVERED" || job["state"] == "DEAD";
    if is_finished { None } else { job["job_id"].as_str().map(str::to_owned) }
}
