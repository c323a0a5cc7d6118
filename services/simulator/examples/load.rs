//! Measures how many readings a second a running server takes, and prints the report as one line of JSON:
//! `PULSE_SIMULATE_TOKEN=… cargo run --release -p pulse-simulator --example load -- --connections 64 --devices 10000`,
//! with `--batch 100` through the batch door.
//!
//! By default the server lets one device send 200 readings a second for long: take enough devices, or set `PULSE_INGEST_DEVICE_RATE=0` there.
#![allow(clippy::print_stdout, reason = "the report is what it is for")]

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use pulse_domain::credential::SecretToken;
use pulse_domain::ids::TenantId;
use pulse_runtime::{Shutdown, parse_duration};
use pulse_simulator::load::{LoadPlan, load};
use pulse_simulator::setup::{Registration, register};

/// How many readings a second a server takes.
#[derive(Debug, Parser)]
struct Settings {
    /// The server's base URL
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    url: String,
    /// An operator token, to register the devices with
    #[arg(long, env = "PULSE_SIMULATE_TOKEN", hide_env_values = true)]
    token: String,
    /// The tenant that the devices belong to; made if there is none
    #[arg(long, default_value = "load", value_parser = TenantId::parse)]
    tenant: TenantId,
    /// How many devices
    #[arg(long, default_value_t = 1_000)]
    devices: u32,
    /// Requests in flight
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Readings in a request; unless set one by one
    #[arg(long)]
    batch: Option<usize>,
    /// Not counted
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    warmup: Duration,
    /// Counted
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::parse();
    let token = SecretToken::from_text(settings.token);
    let registration = Registration { url: settings.url.clone(), token, tenant: settings.tenant, devices: settings.devices };
    let access = register(&registration).await?;
    let plan = LoadPlan {
        url: settings.url,
        connections: settings.connections,
        batch: settings.batch,
        warmup: settings.warmup,
        duration: settings.duration,
        seed: 1,
    };
    let report = load(&plan, &access, &Shutdown::new()).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
