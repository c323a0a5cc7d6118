//! The command line: a scenario and its settings.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::evaluate::EvaluateSettings;
use crate::fleet::FleetSettings;
use crate::http::HttpSettings;
use crate::jobs::JobsSettings;
use crate::million_jobs::MillionJobsSettings;
use crate::readings::ReadingsSettings;

/// Measures what Pulse can take
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// The PostgreSQL server to make a database of the run's own on, a superuser's URL [default: a server of the run's own, with stock settings]
    #[arg(long, env = "PULSE_SOAK_DATABASE", value_name = "URL", hide_env_values = true, global = true)]
    pub(crate) database: Option<String>,
    /// Writes the report as JSON too
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) json: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Readings in batches through the store, beside the bare statements
    Readings(ReadingsSettings),
    /// Readings over HTTP, beside the store's own figure
    Http(HttpSettings),
    /// A fleet that reports for minutes, through all services
    Fleet(FleetSettings),
    /// Due devices through the store and the evaluator, beside the bare statements
    Evaluate(EvaluateSettings),
    /// Jobs and events through the store and the delivery worker, beside the bare statements
    Jobs(JobsSettings),
    /// A million jobs through the queue: whether what is left of them slows the claims
    MillionJobs(MillionJobsSettings),
}
