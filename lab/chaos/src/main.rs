//! The long forms of the chaos suite: runs scenarios one after the other and shows their accounts. `tools/soak chaos` builds and calls it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum as _};
use pulse_chaos::account::Account;
use pulse_chaos::database::Product;
use pulse_chaos::scale::Scale;
use pulse_chaos::scenario::Scenario;
use pulse_chaos::world::Bench;
use serde::Serialize;

/// Breaks a running Pulse in every way it must survive, with load on it, and draws up the account
#[derive(Debug, Parser)]
#[command(bin_name = "tools/soak chaos")]
struct Cli {
    /// What to run; all that there is for the database where none is named
    #[arg(value_enum, value_name = "FAULT")]
    scenarios: Vec<Scenario>,

    /// The database under it
    #[arg(long, env = "CHAOS_DATABASE", value_enum, default_value = "postgres")]
    database: Product,

    /// The program under test
    #[arg(long, env = "CHAOS_PROGRAM", value_name = "FILE", default_value = "target/release/pulse")]
    program: PathBuf,

    /// The version that follows it, for the rolling restart; the same program where none is given
    #[arg(long, env = "CHAOS_NEXT_PROGRAM", value_name = "FILE")]
    next_program: Option<PathBuf>,

    /// Prints a line of JSON for each scenario, and nothing else on standard output
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scale: Scale,
}

/// How a scenario ended.
#[derive(Debug, Serialize)]
struct Outcome {
    scenario: String,
    database: String,
    took_s: f64,
    account: Option<Account>,
    error: Option<String>,
}

impl Outcome {
    fn show(&self, as_json: bool) -> Result<()> {
        let mut out = io::stdout().lock();
        if as_json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        writeln!(out, "── {} on {}, {:.0} s", self.scenario, self.database, self.took_s)?;
        if let Some(account) = &self.account {
            writeln!(out, "{account}")?;
        }
        if let Some(error) = &self.error {
            writeln!(out, "FAILED    {error}")?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let program = cli.program.canonicalize().with_context(|| format!("--program {}: build it first", cli.program.display()))?;
    let bench = Bench { program, next_program: cli.next_program, product: cli.database, scale: cli.scale };
    let named = if cli.scenarios.is_empty() { Scenario::value_variants().to_vec() } else { cli.scenarios };
    let mut all_held = true;
    for scenario in named.into_iter().filter(|scenario| scenario.is_for(bench.product)) {
        let started = Instant::now();
        let ended = scenario.run(&bench).await;
        all_held &= ended.is_ok();
        let (account, error) = match ended {
            Ok(account) => (Some(account), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let took_s = started.elapsed().as_secs_f64();
        let outcome = Outcome { scenario: name(&scenario), database: name(&bench.product), took_s, account, error };
        outcome.show(cli.json)?;
    }
    Ok(if all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn name(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
