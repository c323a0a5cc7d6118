//! `pulse run SERVICE`: one service in a process of its own.

use anyhow::Context as _;
use pulse_runtime::{Deps, Listeners, Shutdown, bind};

use crate::cli::RunSettings;
use crate::database_wait::{self, Schema, Waited};
use crate::ending::{DRAIN, close};
use crate::{prometheus, service};

/// Runs the service until shutdown.
pub(crate) async fn run(settings: RunSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let name = settings.service.name();
    settings.services.validate(settings.service)?;
    let target = settings.database.target()?;
    let public = bind(name, settings.listen).await?;
    let admin = match settings.server.admin_listen {
        Some(address) => Some(bind(name, address).await?),
        None => None,
    };
    let database = target.open().await?;
    let deps = service::deps(settings.service, &database, &settings.pool, &settings.telemetry, true).await?;
    let listeners = Listeners { public, admin };
    let served = async {
        match database_wait::until_ready(&database, &[(&deps, &listeners)], Schema::Awaited, &shutdown).await {
            Ok(Waited::Ready(_)) => drained(settings, deps.clone(), listeners, shutdown).await,
            Ok(Waited::Stopped) => Ok(()),
            Err(error) => Err(error),
        }
    };
    // All of it: there is no other service here that a log line could belong to.
    let ended = deps.telemetry.scope(served).await;
    close(&[deps]).await;
    ended
}

async fn drained(settings: RunSettings, deps: Deps, listeners: Listeners, shutdown: Shutdown) -> anyhow::Result<()> {
    let name = settings.service.name();
    let metrics = prometheus::serve(&deps.telemetry, 0, shutdown.clone()).await?;
    tracing::info!(service = name, listen = %settings.listen, "running");
    let running = service::start(settings.service, deps.clone(), &settings.services, listeners, shutdown.clone());
    let running = async { tokio::try_join!(running, metrics).map(|_| ()) };
    tokio::select! {
        ended = running => ended.with_context(|| format!("{name} failed")),
        () = shutdown.overdue(DRAIN) => Err(anyhow::anyhow!("{name} was cut: it did not drain within {DRAIN:?}")),
    }
}
