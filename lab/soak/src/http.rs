//! Readings over HTTP: what a ui_api process takes in batches, beside the store's own figure and the bare statements' in the same run.

use std::time::Duration;

use futures::future::try_join_all;
use pulse_domain::ids::SiteId;
use pulse_runtime::{Shutdown, parse_duration};
use pulse_simulator::latency::LatencySummary;
use pulse_simulator::load::{LoadPlan, LoadReport, load};
use pulse_simulator::wire::{DeviceAccess, FleetAccess};

use crate::database::Scratch;
use crate::population::{self, Population};
use crate::readings::{self, Turns};
use crate::report::{Figure, Report};
use crate::services::{self, ProgramSettings};

/// What must be reached of the bare statements on the one connection that ui_api writes with.
const PART: f64 = 0.5;
/// Lets connections and caches come up before each turn.
const WARMUP: Duration = Duration::from_millis(500);
const OVER_HTTP: &str = "over HTTP";

/// What to measure.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct HttpSettings {
    /// Registered devices
    #[arg(long, default_value_t = 10_000)]
    devices: usize,
    /// Tenants that the devices belong to
    #[arg(long, default_value_t = 4)]
    tenants: usize,
    /// Readings in a request
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Requests in flight, over all tenants; each number is a run of its own
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [16, 64])]
    connections: Vec<usize>,
    /// Readings in a batch of the store and of the bare statements
    #[arg(long, default_value_t = 5_000)]
    store_batch: usize,
    /// How many times each way has its turn
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a turn is
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "3s")]
    turn: Duration,
    #[command(flatten)]
    program: ProgramSettings,
}

pub(crate) async fn run(settings: &HttpSettings, database: &Scratch) -> anyhow::Result<Report> {
    let population = Population::plan(settings.tenants, settings.devices)?;
    readings::set_up(database, &population).await?;
    let turns = Turns::new(database, &population.devices, settings.store_batch, 1, settings.turn)?;
    let fleets = population.tenants.iter().map(|tenant_id| access(&population, tenant_id)).collect::<anyhow::Result<Vec<_>>>()?;
    let services = services::start(&settings.program, &["ui_api"], &database.url).await?;
    let mut figures = Vec::new();
    let mut loads = Vec::new();
    for connections in &settings.connections {
        let case = format!("{} devices, {} a request, {connections} connections", settings.devices, settings.batch);
        let ways = [readings::Way::LIMIT, readings::Way::Store];
        let mut own: Vec<Figure> = ways.iter().map(|way| way.name()).chain([OVER_HTTP]).map(|way| Figure::new(&case, way)).collect();
        for _ in 0..settings.rounds {
            for (way, figure) in ways.iter().zip(&mut own) {
                figure.add(turns.take(*way).await?)?;
            }
            turns.reset().await?;
            let (rate, latency) = over_http(settings, *connections, &services[0].url, &fleets).await?;
            own[ways.len()].add(rate)?;
            loads.push(serde_json::json!({"case": case, "readings_per_second": rate, "latency": latency}));
        }
        figures.extend(own);
    }
    for service in services {
        service.stop().await?;
    }
    let mut report = Report::new("http", "readings/s", settings, figures)?;
    report.compare(OVER_HTTP, readings::Way::LIMIT.name(), PART);
    report.details = serde_json::Value::from(loads);
    Ok(report)
}

/// Readings a second over all tenants, and the worst tenant's latencies.
async fn over_http(
    settings: &HttpSettings,
    connections: usize,
    url: &str,
    fleets: &[FleetAccess],
) -> anyhow::Result<(f64, LatencySummary)> {
    let plan = LoadPlan {
        url: url.to_owned(),
        connections: connections.div_ceil(fleets.len()),
        batch: Some(settings.batch),
        warmup: WARMUP,
        duration: settings.turn,
        seed: 7,
    };
    let shutdown = Shutdown::new();
    let reports: Vec<LoadReport> = try_join_all(fleets.iter().map(|fleet| load(&plan, fleet, &shutdown))).await?;
    for report in &reports {
        let untaken = report.rejected + report.errors;
        anyhow::ensure!(untaken == 0, "{} readings were refused and {} requests not answered", report.rejected, report.errors);
    }
    let rate = reports.iter().map(|report| report.readings_per_second).sum();
    let slowest = reports.iter().max_by(|a, b| a.latency.p99_ms.total_cmp(&b.latency.p99_ms));
    Ok((rate, slowest.map(|report| report.latency).unwrap_or_default()))
}

/// One tenant's part of the devices, as the load knows them.
fn access(population: &Population, tenant_id: &pulse_domain::ids::TenantId) -> anyhow::Result<FleetAccess> {
    let site_id = SiteId::parse(population::SITE)?;
    let own = population.devices.iter().filter(|key| key.tenant_id == *tenant_id);
    let device = |key: &pulse_domain::ids::DeviceKey| DeviceAccess {
        device_id: key.device_id.clone(),
        site_id: site_id.clone(),
        token: population::token(key),
    };
    Ok(FleetAccess { tenant_id: tenant_id.clone(), devices: own.map(device).collect() })
}
