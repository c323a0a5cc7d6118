//! `pulse run SERVICE`: one service in a process of its own.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pulse_runtime::{Deps, Listeners, Shutdown, bind};
use pulse_store::sqlite::Sqlite;

use crate::cli::RunSettings;
use crate::up::{DRAIN, close};
use crate::{prometheus, service};

/// Runs the service until shutdown.
pub(crate) async fn run(settings: RunSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let name = settings.service.name();
    settings.services.validate(settings.service)?;
    let public = bind(name, settings.listen).await?;
    let admin = match settings.server.admin_listen {
        Some(address) => Some(bind(name, address).await?),
        None => None,
    };
    let database = Sqlite::open(&sqlite_file(&settings.database)?).await.context("the database cannot be opened")?;
    let deps = service::deps(settings.service, &database, &settings.telemetry, true).await?;
    // All of it: there is no other service here that a log line could belong to.
    deps.telemetry.scope(drained(settings, deps.clone(), Listeners { public, admin }, shutdown)).await
}

async fn drained(settings: RunSettings, deps: Deps, listeners: Listeners, shutdown: Shutdown) -> anyhow::Result<()> {
    let name = settings.service.name();
    let metrics = prometheus::serve(&deps.telemetry, 0, shutdown.clone()).await?;
    tracing::info!(service = name, listen = %settings.listen, "running");
    let running = service::start(settings.service, deps.clone(), &settings.services, listeners, shutdown.clone());
    let running = async { tokio::try_join!(running, metrics).map(|_| ()) };
    let deadline = async {
        shutdown.triggered().await;
        tokio::time::sleep(DRAIN).await;
    };
    let ended = tokio::select! {
        ended = running => ended.with_context(|| format!("{name} failed")),
        () = deadline => Err(anyhow::anyhow!("{name} was cut: it did not drain within {DRAIN:?}")),
    };
    close(&[deps]).await;
    ended
}

/// The file that a database URL names.
pub(crate) fn sqlite_file(url: &str) -> anyhow::Result<PathBuf> {
    let file = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest)).filter(|rest| !rest.is_empty());
    file.map(|file| Path::new(file).to_owned()).with_context(|| {
        format!("--database (PULSE_DATABASE) must be sqlite:FILE, for example sqlite:pulse-data/pulse.db, not {:?}", redacted(url))
    })
}

/// A URL without what may be a password.
fn redacted(url: &str) -> &str {
    url.split_once("://").map_or(url, |(scheme, _)| scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_urls_are_read() {
        for (url, file) in [("sqlite:a/b.db", "a/b.db"), ("sqlite:///var/lib/pulse.db", "/var/lib/pulse.db"), ("sqlite://rel.db", "rel.db")]
        {
            assert_eq!(sqlite_file(url).unwrap(), Path::new(file));
        }
        let refused = sqlite_file("postgres://pulse:secret@db/pulse").unwrap_err().to_string();
        assert!(refused.contains("must be sqlite:FILE") && !refused.contains("secret"), "{refused}");
        assert!(sqlite_file("sqlite:").is_err());
    }
}
