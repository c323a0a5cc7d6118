//! What Pulse can take: each scenario measures a part of it on a real PostgreSQL, beside what the database alone does with the same rows in
//! the same run, and says what it found as a table and as JSON. `tools/soak` builds it, starts what it needs and runs it.

mod cli;
mod database;
mod evaluate;
mod fleet;
mod http;
mod jobs;
mod machine;
mod million_jobs;
mod population;
mod readings;
mod receiver;
mod report;
mod scrape;
mod services;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Scenario};
use crate::database::Scratch;

/// As the program has it that is measured beside this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::failed(&error),
    }
}

#[tokio::main]
async fn start(cli: &Cli) -> anyhow::Result<()> {
    let database = Scratch::make(cli.database.as_deref()).await?;
    let outcome = match &cli.scenario {
        Scenario::Readings(settings) => readings::run(settings, &database).await,
        Scenario::Http(settings) => http::run(settings, &database).await,
        Scenario::Fleet(settings) => fleet::run(settings, &database).await,
        Scenario::Evaluate(settings) => evaluate::run(settings, &database).await,
        Scenario::Jobs(settings) => jobs::run(settings, &database).await,
        Scenario::MillionJobs(settings) => million_jobs::run(settings, &database).await,
    };
    database.remove().await?;
    outcome?.publish(cli.json.as_deref())
}
