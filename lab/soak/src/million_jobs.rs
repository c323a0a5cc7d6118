//! A million jobs through the queue: an enqueuer keeps some thousands ready, workers claim and record through the store, and nobody vacuums
//! but PostgreSQL itself.
//!
//! Every job leaves two dead rows and their index entries behind. What must hold: they slow no claim, and there are never more of them than
//! come between two visits of autovacuum.

mod claims;
mod enqueuer;
mod flow;
mod look;
mod outcome;
mod worker;

use futures::future::try_join_all;
use pulse_runtime::Shutdown;
use pulse_simulator::sink::{Sink, SinkSettings};

use crate::database::Scratch;
use crate::population::Population;
use crate::receiver;
use crate::report::Report;

use claims::Claims;
use flow::Flow;
use look::Looks;

/// What flows.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct MillionJobsSettings {
    /// Jobs in all
    #[arg(long, default_value_t = 1_000_000)]
    jobs: u64,
    /// A look at the tables after so many jobs, and the claims' times from look to look
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Jobs that are ready or claimed at any time
    #[arg(long, default_value_t = 4_000)]
    ready: u64,
    /// Jobs claimed a second; 0: as many as the workers can
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Workers that claim and record at once
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Jobs in a claim, and in a record of attempts
    #[arg(long, default_value_t = 256)]
    claim: u32,
    /// Jobs enqueued in a statement
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Tenants that the jobs belong to
    #[arg(long, default_value_t = 4)]
    tenants: usize,
}

pub(crate) async fn run(settings: &MillionJobsSettings, database: &Scratch) -> anyhow::Result<Report> {
    anyhow::ensure!(
        settings.ready >= u64::from(settings.batch) + u64::from(settings.claim),
        "--ready must leave room for --batch and --claim: an enqueuer that waits for the last claim would never be ahead"
    );
    let population = Population::plan(settings.tenants, settings.tenants)?;
    let store = database.store(1)?;
    population.register(&store, chrono::Utc::now()).await?;
    // Nothing is sent to it: jobs need somewhere to go.
    let sink = Sink::start(SinkSettings::default(), &Shutdown::new()).await?;
    receiver::connect(&store, &population, &sink).await?;
    sink.stop().await;
    database.settle().await?;

    let flow = Flow::new(settings);
    let mut looks = Looks::new(database).await?;
    looks.take(0).await?;
    let enqueuer = tokio::spawn(enqueuer::run(database.connect().await?, population.tenants, flow.clone()));
    let mut workers = Vec::new();
    for _ in 0..settings.workers {
        workers.push(tokio::spawn(worker::run(database.store(1)?, flow.clone())));
    }
    let workers = async { try_join_all(workers).await?.into_iter().collect::<anyhow::Result<Vec<Claims>>>() };
    let watching = async {
        for mark in flow.marks() {
            flow.recorded(mark).await;
            looks.take(mark).await?;
        }
        anyhow::Ok(())
    };
    let (enqueued, claims, ()) = tokio::try_join!(async { enqueuer.await? }, workers, watching)?;
    anyhow::ensure!(enqueued == settings.jobs, "{enqueued} of {} jobs were made", settings.jobs);
    let delivered = looks.delivered().await?;
    outcome::report(settings, &looks, &Claims::all(claims), delivered)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Scenario};

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: run tools/test"]
    async fn a_short_form_accounts_for_every_job() {
        let flags =
            ["pulse-soak", "million-jobs", "--jobs", "3500", "--every", "1000", "--ready", "800", "--batch", "100", "--claim", "50"];
        let Scenario::MillionJobs(settings) = Cli::try_parse_from(flags.into_iter().chain(["--rate", "0"])).unwrap().scenario else {
            unreachable!()
        };
        let database = Scratch::make(None).await.unwrap();
        let report = run(&settings, &database).await.unwrap();
        database.remove().await.unwrap();
        assert_eq!(report.figures[0].per_second.len(), 4, "the last stretch is the rest: {report:?}");
        assert!(report.verdicts.iter().any(|verdict| verdict.what.starts_with("jobs delivered") && verdict.holds), "{report:?}");
    }
}
