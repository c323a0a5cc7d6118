//! `pulse up`, `pulse run SERVICE` and what goes with them: parses, builds, runs and reports.

mod bootstrap;
mod cli;
#[cfg(test)]
mod configuration;
mod console;
mod database;
mod database_wait;
mod demo;
mod ending;
mod endpoint;
mod health;
mod migrate;
mod prometheus;
mod run;
mod scrape;
mod service;
mod summary;
mod token;
mod unknown_settings;
mod up;

use std::process::ExitCode;

use clap::Parser as _;
use pulse_runtime::{Shutdown, logging, signals};

use crate::cli::{Cli, Command};
use crate::database::DatabaseUrlError;

/// Most of what the services do is to take messages apart and put them together again, on several threads: with the system's own allocator a sixth
/// of a busy worker's time was spent there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code for wrong flags and settings, as clap uses it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    if let Err(unknown) = unknown_settings::check::<Cli>() {
        return report(&unknown.into(), USAGE);
    }
    let cli = Cli::parse();
    if let Err(error) = logging::init(&cli.log) {
        return report(&anyhow::Error::msg(error), USAGE);
    }
    match start(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, if error.is::<DatabaseUrlError>() { USAGE } else { 1 }),
    }
}

#[tokio::main]
async fn start(command: Command) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    signals::trigger_on_signals(shutdown.clone())?;
    match command {
        Command::Up(settings) => up::up(*settings, shutdown).await,
        Command::Run(settings) => run::run(*settings, shutdown).await,
        Command::Migrate(settings) => migrate::migrate(settings, shutdown).await,
        Command::Simulate(settings) => demo::simulate(*settings, shutdown).await,
        Command::Token(settings) => token::token(settings).await,
        Command::Health(settings) => health::health(settings).await,
    }
}

#[allow(clippy::print_stderr, reason = "the one line that says why the program ends")]
fn report(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("pulse: {error:#}");
    ExitCode::from(code)
}
