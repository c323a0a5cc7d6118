//! `pulse up --demo` and `pulse simulate`: a fleet at one end, a receiver at the other, and a summary of what happens between.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pulse_domain::ids::TokenId;
use pulse_ops_worker::WatchTarget;
use pulse_runtime::{Clock, Deps, Shutdown, Ticker};
use pulse_simulator::sink::{Sink, SinkSettings};
use pulse_simulator::{SimulateSettings, Simulation};
use pulse_store::{Error, SharedStore};

use crate::bootstrap::{forget_tokens, operator_token};
use crate::cli::UpSettings;
use crate::console::Console;
use crate::endpoint::Endpoint;
use crate::service::ServiceSettings;
use crate::summary::Totals;

/// The name of the demo's own operator token.
const TOKEN_NAME: &str = "demo";
/// How often the live summary is drawn anew, and how often a plain line is written.
const LIVE_EVERY: Duration = Duration::from_millis(500);
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How long messages may still be on their way once the fleet has ended.
const SETTLE: Duration = Duration::from_secs(5);

/// How the ops worker watches a service of this process.
pub(crate) fn watch(endpoint: &Endpoint) -> anyhow::Result<WatchTarget> {
    Ok(WatchTarget::new(endpoint.service.name(), &endpoint.admin_url("/health"))?)
}

/// Lets deliveries reach the demo's receiver: plain HTTP on this machine.
pub(crate) fn allow_local_receiver(services: &mut ServiceSettings) -> anyhow::Result<()> {
    services.delivery_worker.allow_http = true;
    services.delivery_worker.allowed_ranges.push("127.0.0.0/8".parse().context("the loopback range")?);
    Ok(())
}

/// Plays until the duration has passed or shutdown is triggered, then says what came of it.
pub(crate) async fn demo(
    settings: &UpSettings,
    endpoints: &[Endpoint],
    deps: &[Deps],
    console: &Console,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let store = &deps[0].store;
    // A demo that was killed left one behind.
    forget_tokens(store.as_ref(), TOKEN_NAME).await.context("the demo's old token cannot be deleted")?;
    let (token_id, token) =
        operator_token(store.as_ref(), TOKEN_NAME, Clock::system().now()).await.context("the demo's token cannot be made")?;
    console.say(&format!("  Demo: tenant \"demo\", an operator's token for this run: {}", token.reveal()));
    let mut simulate = SimulateSettings::new(format!("http://{}", endpoints[0].public), token);
    simulate.devices = settings.devices;
    simulate.rate = settings.rate;
    simulate.duration = settings.duration;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // The receiver outlives the fleet: what the services still deliver when they drain must arrive.
    let sink = Sink::start(SinkSettings { listen, signing_secret: None }, &Shutdown::new()).await?;
    console.say(&format!("  Demo: {} devices report to ui_api; webhooks go to http://{}/stats", settings.devices, sink.address()));
    let mut simulation = Simulation::start(&simulate, sink, shutdown).await?;
    show(settings, deps, console, &mut simulation).await?;
    simulation.settle(SETTLE, shutdown).await;
    let totals = Totals::read(settings.devices, deps, &simulation.report());
    if console.is_json() {
        Console::result(&serde_json::to_string(&totals)?);
    } else {
        console.say(&format!("Totals: {}", totals.line()));
    }
    delete_token(store, token_id).await.context("the demo's token cannot be deleted")
}

async fn show(settings: &UpSettings, deps: &[Deps], console: &Console, simulation: &mut Simulation) -> anyhow::Result<()> {
    let bar = if console.is_live() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let mut ticker = Ticker::every(if console.is_live() { LIVE_EVERY } else { LINE_EVERY });
    ticker.tick().await;
    loop {
        tokio::select! {
            ended = simulation.driven() => {
                bar.finish_and_clear();
                return ended.map_err(anyhow::Error::from);
            }
            () = ticker.tick() => {
                let line = Totals::read(settings.devices, deps, &simulation.report()).line();
                if console.is_live() {
                    bar.set_message(line);
                    bar.tick();
                } else if !console.is_json() {
                    console.say(&line);
                }
            }
        }
    }
}

async fn delete_token(store: &SharedStore, token_id: TokenId) -> Result<(), Error> {
    store.delete_token(None, token_id).await.map(drop)
}

/// `pulse simulate`: the report as one line of JSON.
pub(crate) async fn simulate(settings: SimulateSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let console = Console::new(true);
    console.say(&format!("A fleet of {} devices reports to {}", settings.devices, settings.url));
    let report = pulse_simulator::simulate(&settings, &shutdown).await?;
    Console::result(&serde_json::to_string(&report)?);
    Ok(())
}
