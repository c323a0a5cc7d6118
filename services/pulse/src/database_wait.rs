//! The time before the services start, in which their database may be away or not at this version's schema: they say so and wait.

use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use pulse_runtime::{AwaitedDatabase, Backoff, Chain, Clock, Deps, Listeners, Outage, Shutdown, serve_unavailable};
use pulse_store::Migrated;
use pulse_store::postgres::{Postgres, SchemaError};

use crate::database::Database;

/// The longest wait between two looks.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// What came of the wait.
#[derive(Debug)]
pub(crate) enum Waited {
    /// The services may start. What was done to the schema, where something was.
    Ready(Option<Migrated>),
    /// Asked to stop before that.
    Stopped,
}

/// Who may bring the schema to this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// `pulse migrate` alone: one of many processes does not change what the others work on.
    Awaited,
    /// This process, when its role may.
    BroughtHere,
}

/// Returns when the services can work on the database. Until then they answer on their listeners: /health that the process lives, /ready
/// what it waits for, /metrics as ever, and 503 elsewhere.
///
/// # Errors
/// The database cannot be used, and waiting would not help: its schema is newer, or it refuses this role.
pub(crate) async fn until_ready(
    database: &Database,
    services: &[(&Deps, &Listeners)],
    schema: Schema,
    shutdown: &Shutdown,
) -> anyhow::Result<Waited> {
    let postgres = match database {
        Database::Sqlite(sqlite) => return Ok(Waited::Ready(Some(sqlite.migrated()))),
        Database::Postgres(postgres) => postgres,
    };
    let clock = Clock::system();
    let (over, awaited) = (Shutdown::new(), AwaitedDatabase::new(&clock));
    let mut serving = Vec::new();
    for (deps, listeners) in services {
        let listeners = listeners.try_clone().context("the listeners cannot be shared")?;
        awaited.show(&deps.telemetry);
        serving.push(serve_unavailable(listeners, &deps.telemetry, over.clone()));
    }
    let looking = async {
        let looked = shutdown.unless_triggered(look(postgres, schema, &awaited, &clock)).await;
        let looked = looked.map_or(Ok(Waited::Stopped), |looked| looked.map(Waited::Ready));
        over.trigger();
        looked
    };
    let (served, looked) = tokio::join!(join_all(serving), looking);
    for error in served.into_iter().filter_map(Result::err) {
        tracing::debug!(error = %Chain(&error), "a client was cut at the start");
    }
    services.iter().for_each(|(deps, _)| deps.watch_database());
    looked.with_context(|| postgres.place())
}

/// Looks until the database is there and its schema fits.
async fn look(postgres: &Postgres, schema: Schema, awaited: &AwaitedDatabase, clock: &Clock) -> Result<Option<Migrated>, SchemaError> {
    let (mut backoff, mut outage) = (Backoff::up_to(LOOK_MAX), Outage::default());
    loop {
        let error = match prepare(postgres, schema).await {
            Ok(migrated) => {
                if let Some(lasted) = outage.ended() {
                    tracing::info!(?lasted, "the wait for the database is over");
                }
                return Ok(migrated);
            }
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
        if awaited.set(kind(&error), error.to_string(), clock.now()) {
            outage = Outage::default();
            backoff.reset();
        }
        if outage.failed().is_some() {
            tracing::warn!(error = %Chain(&error), database = postgres.place(), "waiting for the database");
        }
        tokio::time::sleep(backoff.failed()).await;
    }
}

async fn prepare(postgres: &Postgres, schema: Schema) -> Result<Option<Migrated>, SchemaError> {
    match postgres.check().await {
        Err(SchemaError::Missing | SchemaError::Older { .. }) if schema == Schema::BroughtHere => {}
        // A newer one too, where this version can work on it.
        checked => return checked.map(|()| None),
    }
    match postgres.migrate().await {
        // Whoever owns it may.
        Err(SchemaError::NotOwner(_)) => postgres.check().await.map(|()| None),
        migrated => migrated.map(Some),
    }
}

/// The kinds of waiting, as /ready and docs/operations.md name them.
fn kind(error: &SchemaError) -> &'static str {
    match error {
        SchemaError::Missing => "schema_missing",
        SchemaError::Older { .. } => "schema_older",
        _ => "unreachable",
    }
}
