//! Flags and `PULSE_*` variables; a flag wins over its variable.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use pulse_runtime::logging::LogSettings;
use pulse_runtime::{ServerSettings, parse_duration};

use crate::database::{DatabaseUrl, PoolArguments};
use crate::health::HealthSettings;
use crate::migrate::MigrateSettings;
use crate::service::{Service, ServiceSettings, TelemetrySettings};
use crate::token::TokenSettings;

/// Pulse: fleet alerting that is measured from the inside out
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogSettings,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs all five services in this process, on an embedded database unless told otherwise
    Up(Box<UpSettings>),
    /// Runs one service in this process
    Run(Box<RunSettings>),
    /// Brings the database's schema to this version's
    Migrate(MigrateSettings),
    /// Plays a fleet of devices against a running Pulse
    Simulate(Box<pulse_simulator::SimulateSettings>),
    /// Makes an operator's token, for a database that no `pulse up` has made one for
    Token(TokenSettings),
    /// Asks the service on this machine whether it lives; exits with 0 or 1
    Health(HealthSettings),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UpSettings {
    /// Plays a fleet of devices and a receiver of webhooks, so that there is something to see
    #[arg(long)]
    pub(crate) demo: bool,
    /// Devices of the demo's fleet
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), requires = "demo")]
    pub(crate) devices: u32,
    /// Readings per second of the demo's fleet, all devices together [default: one reading per device every 2 s]
    #[arg(long, value_name = "R", requires = "demo")]
    pub(crate) rate: Option<f64>,
    /// Stops by itself after this long, for example 40s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Prints the totals as one line of JSON at the end, and nothing else on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the data lives, when it is not in another database
    #[arg(long, env = "PULSE_DATA", default_value = "pulse-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The database, if it is not to be pulse.db in the data folder: sqlite:FILE or postgres://USER:PASSWORD@HOST:5432/NAME, whose schema is brought to this version's
    #[arg(id = "up_database", long = "database", env = "PULSE_DATABASE", hide_env_values = true, value_name = "URL")]
    pub(crate) database: Option<DatabaseUrl>,
    /// The address to listen on
    #[arg(long, env = "PULSE_HOST", default_value = "127.0.0.1", value_name = "IP")]
    pub(crate) host: IpAddr,
    /// The first of the five services' ports, in the order ui_api, evaluator, dispatcher, delivery_worker, ops_worker
    #[arg(long, env = "PULSE_PORT_BASE", default_value_t = 8081, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub(crate) port_base: u16,
    /// Moves /metrics, /health and /ready to five ports of their own from this one on
    #[arg(long, env = "PULSE_ADMIN_PORT_BASE", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub(crate) admin_port_base: Option<u16>,
    #[command(flatten)]
    pub(crate) pool: PoolArguments,
    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
    #[command(flatten)]
    pub(crate) services: ServiceSettings,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunSettings {
    /// Which service
    #[arg(value_enum)]
    pub(crate) service: Service,
    /// The database: sqlite:FILE or postgres://USER:PASSWORD@HOST:5432/NAME, whose schema is awaited (pulse migrate)
    #[arg(long, env = "PULSE_DATABASE", hide_env_values = true, default_value = "sqlite:pulse-data/pulse.db", value_name = "URL")]
    pub(crate) database: DatabaseUrl,
    /// The address to listen on
    #[arg(long, env = "PULSE_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
    #[command(flatten)]
    pub(crate) pool: PoolArguments,
    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
    #[command(flatten)]
    pub(crate) services: ServiceSettings,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn flags_fit_together() {
        super::Cli::command().debug_assert();
    }
}
