//! Opening the database file: its folder, its format, its schema.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::connect_options;
use super::error::primary_code;
use crate::Migrated;
use crate::migrations::SQLITE;

/// In the file's header: "PULS". Tells our databases from those of other programs (<https://www.sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION_ID: i64 = 0x5055_4c53;

/// How long to wait for others: another process that opens a new file at the same moment holds it for milliseconds, and SQLite does not
/// wait for all of that by itself.
const LOCKED_MAX: Duration = Duration::from_secs(5);
const LOCKED_RETRY_WAIT: Duration = Duration::from_millis(50);

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot write to the data folder {}: give Pulse a folder that it may write to", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot open {} for reading and writing: check its rights and that it is a file", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("{} is locked by another program: stop it, or name another file", path.display())]
    Locked {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("{} is not a Pulse database: move it away or name another file", path.display())]
    NotADatabase { path: PathBuf },
    #[error("{} was written by a newer Pulse (schema {found}, this one knows up to {known}): run that version or newer", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} has a schema {version} that differs from this version's: it was written by a build that was never released", path.display())]
    Foreign { path: PathBuf, version: i64 },
    #[error("cannot bring {} to this version's schema", path.display())]
    Migration {
        path: PathBuf,
        #[source]
        source: MigrateError,
    },
}

/// Makes sure of the folder, the file, WAL mode and the schema.
pub(super) async fn prepare(path: &Path) -> Result<Migrated, OpenError> {
    check_folder(path)?;
    let mut connection = connect(path).await?;
    let migrated = migrate(&mut connection).await;
    // Closing can only fail to tidy up; whether the file is good is known already.
    drop(connection.close().await);
    migrated.map_err(|error| migration_error(path, error))
}

/// Writes a file beside the database, since SQLite keeps its log there and would only say that it cannot open something.
fn check_folder(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".pulse-write-check-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|source| OpenError::Folder { folder: folder.to_owned(), source })
}

async fn connect(path: &Path) -> Result<SqliteConnection, OpenError> {
    let deadline = Instant::now() + LOCKED_MAX;
    loop {
        let source = match connect_once(path).await {
            Ok(Some(connection)) => return Ok(connection),
            Ok(None) => return Err(OpenError::NotADatabase { path: path.to_owned() }),
            Err(source) => source,
        };
        match primary_code(&source) {
            Some(5 | 6) if Instant::now() < deadline => tokio::time::sleep(LOCKED_RETRY_WAIT).await,
            Some(5 | 6) => return Err(OpenError::Locked { path: path.to_owned(), source }),
            Some(26) => return Err(OpenError::NotADatabase { path: path.to_owned() }),
            _ => return Err(OpenError::File { path: path.to_owned(), source }),
        }
    }
}

/// A connection to an empty database or one of ours; none, with the file as it was, when it is somebody else's.
async fn connect_once(path: &Path) -> Result<Option<SqliteConnection>, sqlx::Error> {
    let mut connection = connect_options(path).create_if_missing(true).busy_timeout(LOCKED_RETRY_WAIT).connect().await?;
    let row = sqlx::query("SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id")
        .fetch_one(&mut connection)
        .await?;
    let (id, tables): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if tables > 0 && id != APPLICATION_ID {
        return Ok(None);
    }
    sqlx::query("PRAGMA journal_mode = WAL").execute(&mut connection).await?;
    Ok(Some(connection))
}

/// All migrations in one transaction, so that a second process waits, for as long as a large database may take, and then finds them done.
async fn migrate(connection: &mut SqliteConnection) -> Result<Migrated, MigrateError> {
    sqlx::query("PRAGMA busy_timeout = 60000").execute(&mut *connection).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // The pragma takes no parameters; the text is the constant above.
    sqlx::query(AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}"))).execute(&mut *transaction).await?;
    let from = version(&mut transaction).await?;
    // Not `run`, whose future cannot be sent between threads when it is given a connection.
    SQLITE.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(Migrated { from, to: known() })
}

/// The version that the schema is at; 0 for a new file.
async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'").fetch_one(&mut *connection).await?;
    if tables == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success").fetch_one(connection).await
}

fn known() -> i64 {
    SQLITE.iter().map(|migration| migration.version).max().unwrap_or_default()
}

fn migration_error(path: &Path, error: MigrateError) -> OpenError {
    let path = path.to_owned();
    let known = known();
    match error {
        MigrateError::VersionMissing(found) if found > known => OpenError::Newer { path, found, known },
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => OpenError::Foreign { path, version },
        source => OpenError::Migration { path, source },
    }
}
