//! `pulse migrate`: brings the database's schema to this version's.

use std::time::Duration;

use anyhow::Context as _;
use pulse_runtime::{Backoff, Chain, Outage, Shutdown, parse_duration};
use pulse_store::Migrated;
use pulse_store::postgres::{Postgres, SchemaError};
use tokio::time::Instant;

use crate::console::Console;
use crate::database::{Database, DatabaseUrl};

/// The longest wait between two tries.
const RETRY_WAIT_MAX: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MigrateSettings {
    /// The database: sqlite:FILE or postgres://USER:PASSWORD@HOST:5432/NAME, as a role that may create tables and roles
    #[arg(long, env = "PULSE_DATABASE", hide_env_values = true, default_value = "sqlite:pulse-data/pulse.db", value_name = "URL")]
    pub(crate) database: DatabaseUrl,
    /// How long to wait for a server that cannot be reached
    #[arg(long, env = "PULSE_MIGRATE_WAIT", default_value = "30s", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) wait: Duration,
}

/// Migrates and says what it did. Any number may run at once: one does the work, the others find it done.
pub(crate) async fn migrate(settings: MigrateSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let database = settings.database.target()?.open().await?;
    let migrated = match &database {
        Database::Sqlite(sqlite) => sqlite.migrated(),
        Database::Postgres(postgres) => match shutdown.unless_triggered(within(postgres, settings.wait)).await {
            Some(migrated) => migrated.with_context(|| database.place())?,
            None => anyhow::bail!("asked to stop before {} was migrated", database.place()),
        },
    };
    Console::new(false).say(&format!("{}: {}", database.place(), describe(migrated)));
    Ok(())
}

/// What was done to the schema, in words.
pub(crate) fn describe(Migrated { from, to }: Migrated) -> String {
    if from == to {
        format!("its schema is at version {to}, nothing to do")
    } else if from == 0 {
        format!("its schema was made, version {to}")
    } else {
        format!("its schema was brought from version {from} to {to}")
    }
}

/// Tries until the server can be reached, for at most `wait`.
async fn within(postgres: &Postgres, wait: Duration) -> Result<Migrated, SchemaError> {
    let deadline = Instant::now() + wait;
    let (mut backoff, mut outage) = (Backoff::up_to(RETRY_WAIT_MAX), Outage::default());
    loop {
        let pause = backoff.failed();
        let error = match postgres.migrate().await {
            Err(error @ SchemaError::Unreachable(_)) if Instant::now() + pause < deadline => error,
            ended => return ended,
        };
        if outage.failed().is_some() {
            tracing::info!(error = %Chain(&error), ?wait, "waiting for the database");
        }
        tokio::time::sleep(pause).await;
    }
}
