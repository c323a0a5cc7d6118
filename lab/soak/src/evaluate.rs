//! Due devices: what the store's claim and commit and the whole evaluator take, beside the bare statements that do the same.
//!
//! Every device is due with its unread readings. The ways take turns; a turn ends when nothing is due any more.

mod bare;
mod service;
mod through_store;

use std::time::Instant;

use futures::future::try_join_all;
use pulse_store::IngestStore as _;
use sqlx::PgConnection;

use crate::database::Scratch;
use crate::population::{self, Population};
use crate::report::{Figure, Report};

/// What must be reached of the bare statements.
const PART: f64 = 0.5;
/// Readings written at once while the scenario is set up.
const WRITTEN_AT_ONCE: usize = 5_000;

/// What to measure.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct EvaluateSettings {
    /// Devices that are due
    #[arg(long, default_value_t = 100_000)]
    devices: usize,
    /// Unread readings of each
    #[arg(long, default_value_t = 3)]
    readings: u16,
    /// Devices in a claim of the bare statements and of the store
    #[arg(long, default_value_t = 5_000)]
    claim: u32,
    /// Devices in a cycle of the evaluator; each number is a way of its own
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [2_000, 5_000])]
    cycles: Vec<u32>,
    /// Workers that evaluate at once
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 2])]
    workers: Vec<usize>,
    /// How many times each way has its turn
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Tenants that the devices belong to
    #[arg(long, default_value_t = 4)]
    tenants: usize,
}

/// A way to evaluate all that is due.
#[derive(Debug, Clone, Copy)]
enum Way {
    Bare,
    Store,
    /// With so many devices a cycle.
    Evaluator(u32),
}

impl Way {
    fn name(self) -> String {
        match self {
            Self::Bare => "bare claim, read, update".to_owned(),
            Self::Store => "claim_due_devices, commit_evaluation".to_owned(),
            Self::Evaluator(batch_size) => format!("evaluator, cycles of {batch_size}"),
        }
    }
}

pub(crate) async fn run(settings: &EvaluateSettings, database: &Scratch) -> anyhow::Result<Report> {
    let population = Population::plan(settings.tenants, settings.devices)?;
    let mut connection = database.connect().await?;
    set_up(settings, database, &population, &mut connection).await?;
    let ways: Vec<Way> = [Way::Bare, Way::Store].into_iter().chain(settings.cycles.iter().copied().map(Way::Evaluator)).collect();
    let mut figures = Vec::new();
    for workers in &settings.workers {
        let case = format!("{} devices, {} readings each, {workers} workers", settings.devices, settings.readings);
        let mut own: Vec<Figure> = ways.iter().map(|way| Figure::new(&case, &way.name())).collect();
        for round in 0..=settings.rounds {
            for (way, figure) in ways.iter().zip(&mut own) {
                bare::reset(&mut connection).await?;
                let rate = turn(*way, settings, database, *workers).await?;
                // Nobody looks at the first round: it fills caches.
                if round > 0 {
                    figure.add(rate)?;
                }
            }
        }
        figures.extend(own);
    }
    let mut report = Report::new("evaluate", "devices/s", settings, figures)?;
    for way in &ways[1..] {
        report.compare(&way.name(), &Way::Bare.name(), PART);
    }
    Ok(report)
}

async fn set_up(
    settings: &EvaluateSettings,
    database: &Scratch,
    population: &Population,
    connection: &mut PgConnection,
) -> anyhow::Result<()> {
    let (store, metrics) = (database.store(1)?, population::quiet_metrics()?);
    population.register(&store, chrono::Utc::now()).await?;
    for _ in 0..settings.readings {
        let now = chrono::Utc::now();
        let readings = population.devices.iter().map(|key| population::reading(key, &metrics, now)).collect::<anyhow::Result<Vec<_>>>()?;
        for part in readings.chunks(WRITTEN_AT_ONCE) {
            store.append_readings(part).await?;
        }
    }
    bare::make_tables(connection).await
}

/// Devices a second until nothing is due.
async fn turn(way: Way, settings: &EvaluateSettings, database: &Scratch, workers: usize) -> anyhow::Result<f64> {
    let started = Instant::now();
    let done = match way {
        Way::Bare => {
            let mut connections = Vec::new();
            for _ in 0..workers {
                connections.push(database.connect().await?);
            }
            sum(connections.into_iter().map(|connection| tokio::spawn(bare::work(connection, settings.claim)))).await?
        }
        Way::Store => {
            let stores = (0..workers).map(|_| database.store(1)).collect::<anyhow::Result<Vec<_>>>()?;
            sum(stores.into_iter().map(|store| tokio::spawn(through_store::work(store, settings.claim)))).await?
        }
        Way::Evaluator(batch_size) => {
            service::work(database, batch_size, workers).await?;
            settings.devices
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    anyhow::ensure!(done == settings.devices, "{}: {done} of {} devices were evaluated", way.name(), settings.devices);
    Ok(f64::from(u32::try_from(done)?) / seconds)
}

async fn sum(workers: impl Iterator<Item = tokio::task::JoinHandle<anyhow::Result<usize>>>) -> anyhow::Result<usize> {
    try_join_all(workers).await?.into_iter().sum()
}
