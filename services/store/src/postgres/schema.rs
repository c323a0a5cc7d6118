//! The database's address and its schema: what version it is at, and bringing it to this one.

use std::io::ErrorKind;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::migrations::POSTGRES;

/// How long one try to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Days ahead for which readings have a partition once the schema is at its version; the ops worker goes on with it.
pub(super) const DAYS_AHEAD: i32 = 2;
/// "undefined table": no migration has run.
const UNDEFINED_TABLE: &str = "42P01";
/// "insufficient privilege".
const NO_PRIVILEGE: &str = "42501";

/// A database's URL that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the database's URL cannot be read: it looks like postgres://USER:PASSWORD@HOST:5432/NAME?sslmode=verify-full")]
pub struct UrlError;

/// Why the database cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It may be there later.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// It is there and lets us not in: the password, the role, the database's name, TLS.
    #[error("the database refuses the connection")]
    Refused(#[source] sqlx::Error),
    #[error("the database has no schema yet: run pulse migrate")]
    Missing,
    #[error("the database's schema is at version {found}, this version of Pulse needs {needed}: run pulse migrate")]
    Older { found: i64, needed: i64 },
    #[error("the database was brought to schema {found} by a newer Pulse; this one knows up to {known}: run that version or newer")]
    Newer { found: i64, known: i64 },
    #[error("schema version {version} of the database differs from this version's: it was written by a build that was never released")]
    Foreign { version: i64 },
    /// The role may not create or change tables.
    #[error("the role may not change the schema: run pulse migrate as the role that owns the database")]
    NotOwner(#[source] MigrateError),
    #[error("the schema cannot be brought to this version")]
    Migration(#[source] MigrateError),
    #[error("the database's schema cannot be read")]
    Unreadable(#[source] sqlx::Error),
}

impl SchemaError {
    /// Whether waiting can help: for the database, or for somebody who migrates it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Missing | Self::Older { .. })
    }
}

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version before; 0 for an empty database.
    pub from: i64,
    /// The version now.
    pub to: i64,
}

pub(super) fn options(url: &str) -> Result<PgConnectOptions, UrlError> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(UrlError);
    }
    // The parser's own error may hold what was in the URL.
    PgConnectOptions::from_str(url).map_err(|_| UrlError)
}

/// Whether what is prepared on a connection is there in its next transaction too: not behind a pooler, as its URL says.
pub(super) fn keeps_prepared(url: &str) -> bool {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    !parameters.split('&').any(|parameter| parameter == "statement-cache-capacity=0")
}

fn known() -> i64 {
    POSTGRES.iter().map(|migration| migration.version).max().unwrap_or_default()
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, SchemaError> {
    match tokio::time::timeout(CONNECT_MAX, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if is_refusal(&error, options) => Err(SchemaError::Refused(error)),
        Ok(Err(error)) => Err(SchemaError::Unreachable(error)),
        Err(_) => Err(SchemaError::Unreachable(sqlx::Error::Io(ErrorKind::TimedOut.into()))),
    }
}

/// Authorization failed (class 28), no such database (3D000), or a certificate that does not fit or is not where the URL says.
fn is_refusal(error: &sqlx::Error, options: &PgConnectOptions) -> bool {
    let over_network = options.get_socket().is_none() && !options.get_host().starts_with('/');
    match error {
        sqlx::Error::Database(failure) => failure.code().is_some_and(|code| code.starts_with("28") || code == "3D000"),
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => true,
        // What rustls says of the server's certificate, as the handshake is part of the reading.
        sqlx::Error::Io(failure) if failure.kind() == ErrorKind::InvalidData => true,
        // A file, then; where the server itself is one, it may only be away.
        sqlx::Error::Io(failure) => over_network && failure.kind() == ErrorKind::NotFound,
        _ => false,
    }
}

pub(super) async fn check(options: &PgConnectOptions) -> Result<(), SchemaError> {
    let mut connection = connect(options).await?;
    let checked = check_version(&mut connection).await;
    drop(connection.close().await);
    checked
}

/// Newer schemas are fine as long as they say so: that is what lets two versions run side by side while one replaces the other.
async fn check_version(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let found = version(connection).await?;
    let known = known();
    if found == 0 {
        return Err(SchemaError::Missing);
    }
    if found < known {
        return Err(SchemaError::Older { found, needed: known });
    }
    let oldest = oldest(connection).await.map_err(read_error)?;
    if oldest > known { Err(SchemaError::Newer { found, known }) } else { Ok(()) }
}

/// The oldest version that can work on the schema as it is.
async fn oldest(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT oldest_version FROM schema_compatibility").persistent(false).fetch_one(connection).await
}

/// Whether this version can still work on the schema: while it runs, a newer one may have brought it further.
pub(super) async fn is_known(connection: &mut PgConnection) -> sqlx::Result<Result<(), SchemaError>> {
    let (found, known) = (oldest(connection).await?, known());
    Ok(if found > known { Err(SchemaError::Newer { found, known }) } else { Ok(()) })
}

/// The version that the schema is at; 0 before the first migration.
async fn version(connection: &mut PgConnection) -> Result<i64, SchemaError> {
    let found = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success").persistent(false);
    match found.fetch_one(connection).await {
        Ok(version) => Ok(version),
        Err(sqlx::Error::Database(failure)) if failure.code().is_some_and(|code| code == UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(read_error(error)),
    }
}

fn read_error(error: sqlx::Error) -> SchemaError {
    if crate::error::is_transient(&error) { SchemaError::Unreachable(error) } else { SchemaError::Unreadable(error) }
}

pub(super) async fn migrate(options: &PgConnectOptions) -> Result<Migrated, SchemaError> {
    let mut connection = connect(options).await?;
    let migrated = migrate_on(&mut connection).await;
    drop(connection.close().await);
    migrated
}

/// sqlx takes an advisory lock of the database for all of it, so that a second one waits and then finds it done.
async fn migrate_on(connection: &mut PgConnection) -> Result<Migrated, SchemaError> {
    let from = version(connection).await?;
    POSTGRES.run_direct(None, connection, false).await.map_err(|error| migration_error(error, from))?;
    sqlx::query("SELECT make_reading_days(now() - interval '1 day', $1)")
        .bind(DAYS_AHEAD + 2)
        .persistent(false)
        .execute(connection)
        .await
        .map_err(|error| migration_error(error.into(), from))?;
    Ok(Migrated { from, to: known() })
}

fn migration_error(error: MigrateError, found: i64) -> SchemaError {
    let known = known();
    match error {
        MigrateError::VersionMissing(_) if found > known => SchemaError::Newer { found, known },
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => SchemaError::Foreign { version },
        error if is_privilege(&error) => SchemaError::NotOwner(error),
        error => SchemaError::Migration(error),
    }
}

fn is_privilege(error: &MigrateError) -> bool {
    let (MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) = error else { return false };
    source.as_database_error().and_then(|failure| failure.code()).is_some_and(|code| code == NO_PRIVILEGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_never_repeated() {
        assert!(options("postgres://pulse:secret@db:5433/pulse?sslmode=verify-full").is_ok());
        assert!(options("postgresql:///pulse?host=/run/postgresql").is_ok());
        for bad in ["", "mysql://pulse:secret@db/pulse", "postgres://pulse:secret@db:port/pulse", "postgres://u:secret@h/d?sslmode=secret"]
        {
            let error = options(bad).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("secret"), "{bad}");
        }
    }

    #[test]
    fn a_url_says_that_a_pooler_keeps_nothing_prepared() {
        for (url, keeps) in [
            ("postgres://db/pulse", true),
            ("postgres://db/pulse?statement-cache-capacity=50", true),
            ("postgres://db/pulse?sslmode=verify-full&statement-cache-capacity=0", false),
        ] {
            assert_eq!(keeps_prepared(url), keeps, "{url}");
        }
    }
}
