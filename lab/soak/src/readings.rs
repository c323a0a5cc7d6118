//! Readings in batches: what `append_readings` takes, beside the bare statements that write the same rows.
//!
//! The ways take turns, each with tables as the one before it found them: readings empty, states vacuumed and due later, as an evaluator
//! that keeps up leaves them. The bare ways write into tables of their own.

mod bare;
mod batches;
mod turns;

use std::time::Duration;

use pulse_runtime::parse_duration;

use crate::database::Scratch;
use crate::population::Population;
use crate::report::{Figure, Report};

use bare::Bare;
pub(crate) use turns::Turns;

/// What the store must reach of the bare statements with the upsert and the indexes.
const PART: f64 = 0.5;

/// What to measure.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct ReadingsSettings {
    /// Registered devices; each number is a run of its own
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [10_000, 100_000])]
    devices: Vec<usize>,
    /// Readings in a batch, of different devices
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [500, 5_000])]
    batches: Vec<usize>,
    /// Connections that write at once
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 2])]
    connections: Vec<usize>,
    /// How many times each way has its turn
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a turn is
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "3s")]
    turn: Duration,
    /// Tenants that the devices belong to
    #[arg(long, default_value_t = 4)]
    tenants: usize,
}

/// A way to write a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Bare(Bare),
    Store,
}

impl Way {
    /// What the store is held against: the same rows and states, found by the same indexes, and nothing else.
    pub(crate) const LIMIT: Self = Self::Bare(Bare::Indexed);
    const ALL: [Self; 5] = [Self::Bare(Bare::Copy), Self::Bare(Bare::Unnest), Self::Bare(Bare::Upsert), Self::LIMIT, Self::Store];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare(bare) => bare.name(),
            Self::Store => "append_readings",
        }
    }
}

pub(crate) async fn run(settings: &ReadingsSettings, database: &Scratch) -> anyhow::Result<Report> {
    let mut figures = Vec::new();
    let largest = settings.devices.iter().copied().max().unwrap_or_default();
    let population = Population::plan(settings.tenants, largest)?;
    set_up(database, &population).await?;
    for devices in &settings.devices {
        for size in &settings.batches {
            for connections in &settings.connections {
                let case = format!("{devices} devices, batches of {size}, {connections} connections");
                let turns = Turns::new(database, &population.devices[..*devices], *size, *connections, settings.turn)?;
                let mut own = Way::ALL.map(|way| Figure::new(&case, way.name()));
                for _ in 0..settings.rounds {
                    for (way, figure) in Way::ALL.into_iter().zip(&mut own) {
                        figure.add(turns.take(way).await?)?;
                    }
                }
                figures.extend(own);
            }
        }
    }
    let mut report = Report::new("readings", "readings/s", settings, figures)?;
    report.compare(Way::Store.name(), Way::LIMIT.name(), PART);
    Ok(report)
}

/// Registers the devices and makes the bare tables beside the store's.
pub(crate) async fn set_up(database: &Scratch, population: &Population) -> anyhow::Result<()> {
    population.register(&database.store(1)?, chrono::Utc::now()).await?;
    bare::make_tables(&mut database.connect().await?, population).await
}
