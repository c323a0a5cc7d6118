//! `cargo run -p pulse-boards` writes the boards' files anew; `-- check` and `-- report` ask a running Prometheus.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use pulse_boards::variable::TRANSPORTS;
use pulse_boards::{files, live, report};
use pulse_runtime::parse_duration;

/// Pulse's dashboards
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the boards' files in grafana/dashboards anew; so does no command at all
    Write,
    /// Asks every query of the boards and names those without data
    Check(Asked),
    /// Writes a page for each board that shows what Grafana would show
    Report {
        #[command(flatten)]
        asked: Asked,
        /// The folder of the pages
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Asked {
    /// Prometheus's base address
    #[arg(long, default_value = "http://127.0.0.1:9090", value_name = "URL")]
    prometheus: String,
    /// The route into Prometheus whose series are shown
    #[arg(long, default_value = TRANSPORTS[0], value_parser = TRANSPORTS)]
    transport: String,
    /// How much time up to now is shown
    #[arg(long, default_value = "30m", value_name = "DURATION", value_parser = parse_duration)]
    over: Duration,
    /// What $__rate_interval stands for: four scrapes
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = parse_duration)]
    rate_interval: Duration,
    /// Only the board with this uid; may be given again
    #[arg(long, value_name = "UID")]
    board: Vec<String>,
}

impl Asked {
    fn settings(self) -> live::Settings {
        let Self { prometheus, transport, over, rate_interval, board: boards } = self;
        live::Settings { prometheus, transport, over, rate_interval, boards }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let findings = match Cli::parse().command.unwrap_or(Command::Write) {
        Command::Write => {
            let directory = files::directory();
            files::write(&directory).with_context(|| format!("the boards cannot be written to {}", directory.display()))?;
            Vec::new()
        }
        Command::Check(asked) => live::check(&asked.settings()).await,
        Command::Report { asked, out } => {
            let seen = live::look(&asked.settings()).await;
            report::write(&out, &seen).with_context(|| format!("the pages cannot be written to {}", out.display()))?;
            seen.iter().flat_map(live::findings).collect()
        }
    };
    Ok(tell(&findings))
}

/// Each finding on a line of its own; any is a failure.
#[allow(clippy::print_stdout, reason = "what the program was asked for")]
fn tell(findings: &[live::Finding]) -> ExitCode {
    for finding in findings {
        println!("{finding}");
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
