//! `pulse up`: all five services in one process on one database, each with its own port, pool and telemetry.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use pulse_domain::credential::SecretToken;
use pulse_runtime::{Clock, Listeners, Shutdown, Tasks, bind};
use pulse_store::Migrated;

use crate::bootstrap;
use crate::cli::UpSettings;
use crate::console::Console;
use crate::database::{Database, Target};
use crate::database_wait::{self, Schema, Waited};
use crate::demo;
use crate::ending::{DRAIN, close};
use crate::endpoint::Endpoint;
use crate::migrate::describe;
use crate::prometheus;
use crate::service::{self, Service, ServiceSettings};

/// Runs until shutdown, or for the duration asked.
pub(crate) async fn up(settings: UpSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let console = Console::new(settings.json);
    let endpoints = endpoints(&settings)?;
    let services = services_here(&settings, &endpoints)?;
    let target = target(&settings)?;
    let listeners = listen(&endpoints).await?;
    let database = target.open().await?;
    let mut deps = Vec::new();
    for endpoint in &endpoints {
        deps.push(service::deps(endpoint.service, &database, &settings.pool, &settings.telemetry, false).await?);
    }
    let waiting: Vec<_> = deps.iter().zip(&listeners).collect();
    let migrated = match database_wait::until_ready(&database, &waiting, Schema::BroughtHere, &shutdown).await {
        Ok(Waited::Ready(migrated)) => migrated,
        stopped => {
            close(&deps).await;
            return stopped.map(drop);
        }
    };
    let mut tasks = Tasks::new(shutdown.clone());
    for ((endpoint, listeners), deps) in endpoints.iter().zip(listeners).zip(&deps) {
        tasks.spawn(endpoint.service.name(), service::start(endpoint.service, deps.clone(), &services, listeners, shutdown.clone()));
    }
    for (offset, deps) in (0..).zip(&deps) {
        tasks.spawn("serving /metrics for Prometheus", prometheus::serve(&deps.telemetry, offset, shutdown.clone()).await?);
    }
    let first_token = bootstrap::first_start(&deps[0].store, Clock::system().now()).await.context("the first start failed")?;
    announce(&console, &database, migrated, &endpoints, first_token.as_ref());
    let work = async {
        let ended = if settings.demo {
            demo::demo(&settings, &endpoints, &deps, &console, &shutdown).await
        } else {
            wait(settings.duration, &shutdown).await;
            Ok(())
        };
        shutdown.trigger();
        ended
    };
    let (worked, drained) = tokio::join!(work, tasks.join(DRAIN));
    close(&deps).await;
    let ended = drained.map_err(anyhow::Error::from).and(worked);
    console.say(if ended.is_ok() { "Stopped gracefully." } else { "Stopped, but not gracefully." });
    ended
}

/// The database that was named, or the one in the data folder, which is made.
fn target(settings: &UpSettings) -> anyhow::Result<Target> {
    if let Some(url) = &settings.database {
        return Ok(url.target()?);
    }
    std::fs::create_dir_all(&settings.data).with_context(|| {
        format!("the data folder {} cannot be made; choose one that can be written to with --data", settings.data.display())
    })?;
    Ok(Target::Sqlite(settings.data.join("pulse.db")))
}

fn endpoints(settings: &UpSettings) -> anyhow::Result<Vec<Endpoint>> {
    let port = |base: u16, index: usize| {
        u16::try_from(index).ok().and_then(|index| base.checked_add(index)).context("the ports end at 65535: choose a lower --port-base")
    };
    Service::ALL
        .into_iter()
        .enumerate()
        .map(|(index, service)| {
            let public = SocketAddr::new(settings.host, port(settings.port_base, index)?);
            let admin =
                settings.admin_port_base.map(|base| port(base, index)).transpose()?.map(|port| SocketAddr::new(settings.host, port));
            Ok(Endpoint { service, public, admin })
        })
        .collect()
}

/// All ports at once and first of all, so that a port in use is known before anything is written.
async fn listen(endpoints: &[Endpoint]) -> anyhow::Result<Vec<Listeners>> {
    let mut listeners = Vec::new();
    for endpoint in endpoints {
        let name = endpoint.service.name();
        let public = bind(name, endpoint.public).await?;
        let admin = match endpoint.admin {
            Some(address) => Some(bind(name, address).await?),
            None => None,
        };
        listeners.push(Listeners { public, admin });
    }
    Ok(listeners)
}

/// The services' settings, with what only this process knows: where the others are, and that the demo's receiver is on this machine.
fn services_here(settings: &UpSettings, endpoints: &[Endpoint]) -> anyhow::Result<ServiceSettings> {
    let mut services = settings.services.clone();
    if services.ops_worker.watch.is_empty() {
        services.ops_worker.watch = endpoints.iter().map(demo::watch).collect::<anyhow::Result<_>>()?;
    }
    if settings.demo {
        demo::allow_local_receiver(&mut services)?;
    }
    for endpoint in endpoints {
        services.validate(endpoint.service)?;
    }
    Ok(services)
}

async fn wait(duration: Option<Duration>, shutdown: &Shutdown) {
    match duration {
        Some(duration) => drop(shutdown.unless_triggered(tokio::time::sleep(duration)).await),
        None => shutdown.triggered().await,
    }
}

fn announce(console: &Console, database: &Database, migrated: Option<Migrated>, endpoints: &[Endpoint], first_token: Option<&SecretToken>) {
    console.say(&format!("Pulse {} is up. Data in {}", env!("CARGO_PKG_VERSION"), database.place()));
    if let Some(migrated) = migrated.filter(|migrated| migrated.from != migrated.to) {
        console.say(&format!("  Database: {}", describe(migrated)));
    }
    for endpoint in endpoints {
        console.say(&format!("  {:<16} http://{}   metrics {}", endpoint.service.name(), endpoint.public, endpoint.admin_url("/metrics")));
    }
    console.say(&format!("  API              http://{}/api/v1, described at /api/openapi.json", endpoints[0].public));
    if let Some(token) = first_token {
        console.say(&format!(
            "First start: tenant {:?} is made. The operator's token, shown only now:\n  {}",
            bootstrap::FIRST_TENANT,
            token.reveal()
        ));
    }
}
