//! Jobs: what the store's claim and record take, and its claim and commit of events that become jobs, beside the bare statements; and the
//! whole delivery worker with a receiver that answers at once.
//!
//! The ways take turns, each with the same jobs or events waiting as the one before it found; a turn ends when none is left.

mod bare;
mod service;
mod stock;
pub(crate) mod through_store;
mod way;

use pulse_runtime::Shutdown;
use pulse_simulator::sink::{Sink, SinkSettings};

use crate::database::Scratch;
use crate::population::Population;
use crate::receiver;
use crate::report::{Figure, Report};

use stock::Stock;
use way::{Turns, Way};

/// What must be reached of the bare statements on the same rows.
const PART: f64 = 0.5;

/// What to measure.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct JobsSettings {
    /// Jobs that are due, and events that wait
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// Of these, how many the delivery worker delivers in a turn: it is slower
    #[arg(long, default_value_t = 5_000)]
    delivered: usize,
    /// Jobs in a claim, and in a record of attempts
    #[arg(long, default_value_t = 256)]
    claim: u32,
    /// Events in a claim, and jobs enqueued in a statement
    #[arg(long, default_value_t = 500)]
    batch: u32,
    /// Workers that claim and record at once
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 2, 4])]
    workers: Vec<usize>,
    /// Connections that dispatch events at once
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 2])]
    connections: Vec<usize>,
    /// How many times each way has its turn
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Tenants that the jobs belong to, each with a webhook
    #[arg(long, default_value_t = 4)]
    tenants: usize,
}

pub(crate) async fn run(settings: &JobsSettings, database: &Scratch) -> anyhow::Result<Report> {
    anyhow::ensure!(settings.delivered <= settings.jobs, "--delivered can be --jobs at most");
    let population = Population::plan(settings.tenants, settings.jobs)?;
    let stop = Shutdown::new();
    let sink = Sink::start(SinkSettings::default(), &stop).await?;
    let store = database.store(1)?;
    population.register(&store, chrono::Utc::now()).await?;
    receiver::connect(&store, &population, &sink).await?;
    let stock = Stock::make(database, &store, &population, settings.batch).await?;
    let turns = Turns { settings, database, stock };
    let mut figures = Vec::new();
    for workers in &settings.workers {
        let case = format!("{} jobs, {} a claim, {workers} workers", settings.jobs, settings.claim);
        figures.extend(rounds(&turns, &case, &Way::OF_JOBS, *workers).await?);
    }
    for connections in &settings.connections {
        let case = format!("{} events, {} a claim, {connections} connections", settings.jobs, settings.batch);
        figures.extend(rounds(&turns, &case, &Way::OF_EVENTS, *connections).await?);
    }
    sink.stop().await;
    let mut report = Report::new("jobs", "jobs/s", settings, figures)?;
    report.compare(Way::Store.name(), Way::BareOwn.name(), PART);
    Ok(report)
}

async fn rounds(turns: &Turns<'_>, case: &str, ways: &[Way], workers: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = ways.iter().map(|way| Figure::new(case, way.name())).collect();
    for round in 0..=turns.settings.rounds {
        for (way, figure) in ways.iter().zip(&mut figures) {
            let rate = turns.take(*way, workers).await?;
            // Nobody looks at the first round: it fills caches.
            if round > 0 {
                figure.add(rate)?;
            }
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Scenario};

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: run tools/test"]
    async fn every_way_does_all_that_waits() {
        let flags = ["pulse-soak", "jobs", "--jobs", "600", "--delivered", "200", "--claim", "64", "--batch", "100", "--rounds", "1"];
        let Scenario::Jobs(settings) = Cli::try_parse_from(flags).unwrap().scenario else { unreachable!() };
        let database = Scratch::make(None).await.unwrap();
        let report = run(&settings, &database).await.unwrap();
        database.remove().await.unwrap();
        assert_eq!((report.figures.len(), report.verdicts.len()), (18, 3), "{report:?}");
        assert!(report.figures.iter().all(|figure| figure.median() > 0.0), "{report:?}");
    }
}
