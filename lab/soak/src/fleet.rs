//! A fleet on one machine: devices that report at a fixed pace through gateways, a few of them in breach at any time, for as long as asked.
//!
//! What must hold: no queue grows, a reading that breaches is an alert within two seconds for all but a twentieth of them, and every reading
//! that was answered with 202 is stored and judged, every event delivered. Besides: what each process and PostgreSQL use for 1,000 readings.

mod account;
mod outcome;
mod plan;
mod samples;
mod traffic;

use std::time::{Duration, Instant};

use pulse_runtime::{Shutdown, parse_duration};
use pulse_simulator::sink::{Sink, SinkSettings};

use crate::database::Scratch;
use crate::population::Population;
use crate::receiver;
use crate::report::Report;
use crate::services::{self, ProgramSettings};

use account::Account;
use plan::Plan;
use samples::Sampler;

/// How long the queues may take to empty once nobody reports any more.
const DRAIN: Duration = Duration::from_secs(60);

/// A device is silent when it has missed so many of its reports.
const REPORTS_MISSED: u32 = 3;

/// The fleet and how long it reports.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct FleetSettings {
    /// Devices, each with its tenant's five rules
    #[arg(long, default_value_t = 100_000)]
    devices: usize,
    /// Tenants that the devices belong to
    #[arg(long, default_value_t = 10)]
    tenants: usize,
    /// How often each device reports
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    every: Duration,
    /// Messages in a gateway's request
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    batch: u32,
    /// Of 1,000 devices, how many report by themselves
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=1_000))]
    singles_per_mille: u32,
    /// Of 1,000 readings, how many breach a rule: one in which a device does, the next no more
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
    breaches_per_mille: u32,
    /// How long is measured
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    duration: Duration,
    /// Not measured, before
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    warmup: Duration,
    /// How often the services' /metrics are read
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "5s")]
    sample_every: Duration,
    #[command(flatten)]
    program: ProgramSettings,
}

pub(crate) async fn run(settings: &FleetSettings, database: &Scratch) -> anyhow::Result<Report> {
    let population = Population::plan(settings.tenants, settings.devices)?;
    let plan = Plan::new(settings, &population)?;
    let stop = Shutdown::new();
    // Until it is told by itself: it must be there for what is under way when the traffic has ended.
    let sink = Sink::start(SinkSettings::default(), &Shutdown::new()).await?;
    let store = database.store(2)?;
    population.register(&store, chrono::Utc::now()).await?;
    receiver::connect(&store, &population, &sink).await?;
    database.settle().await?;
    let stale = (settings.every * REPORTS_MISSED).as_millis();
    let program = settings.program.with("PULSE_HEARTBEAT_STALE", &format!("{stale}ms"));
    let services = services::start(&program, &services::ALL, &database.url).await?;
    let url = services[0].url.clone();
    let traffic = tokio::spawn(traffic::run(plan, url, stop.clone()));
    tokio::time::sleep(settings.warmup).await;

    let mut sampler = Sampler::new(&services, database).await?;
    let until = Instant::now() + settings.duration;
    while Instant::now() < until && !traffic.is_finished() {
        tokio::time::sleep_until((Instant::now() + settings.sample_every).min(until).into()).await;
        sampler.sample().await?;
    }
    let course = sampler.finish().await?;
    stop.trigger();
    let sent = traffic.await??;
    let account = Account::after(database, DRAIN, course.from, course.until).await?;
    let received = sink.stats();
    sink.stop().await;
    for service in services {
        service.stop().await?;
    }
    outcome::report(settings, &course, &sent, &account, &received)
}
