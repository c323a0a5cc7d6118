//! Opening the database file: its folder, its format, its schema.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::connect_options;
use super::error::primary_code;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations/sqlite");

/// Another process that opens a new file at the same moment holds it for milliseconds; SQLite does not wait for that by itself.
const FORMAT_ATTEMPTS: u32 = 20;
const FORMAT_RETRY_WAIT: Duration = Duration::from_millis(50);

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
pub(super) async fn prepare(path: &Path) -> Result<(), OpenError> {
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
    let options = connect_options(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut attempt = 1;
    loop {
        let source = match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(source) => source,
        };
        match primary_code(&source) {
            Some(5 | 6) if attempt < FORMAT_ATTEMPTS => tokio::time::sleep(FORMAT_RETRY_WAIT).await,
            Some(26) => return Err(OpenError::NotADatabase { path: path.to_owned() }),
            _ => return Err(OpenError::File { path: path.to_owned(), source }),
        }
        attempt += 1;
    }
}

/// All migrations in one transaction, so that a second process waits and then finds them done.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`, whose future cannot be sent between threads when it is given a connection.
    MIGRATOR.run_direct(None, &mut *transaction, false).await?;
    Ok(transaction.commit().await?)
}

fn migration_error(path: &Path, error: MigrateError) -> OpenError {
    let path = path.to_owned();
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    match error {
        MigrateError::VersionMissing(found) if found > known => OpenError::Newer { path, found, known },
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => OpenError::Foreign { path, version },
        MigrateError::Execute(ref source) | MigrateError::ExecuteMigration(ref source, _) if is_no_database(source) => {
            OpenError::NotADatabase { path }
        }
        source => OpenError::Migration { path, source },
    }
}

/// NOTADB, or a database of somebody else that has tables of the same names.
fn is_no_database(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(26) || error.as_database_error().is_some_and(|failure| failure.message().contains("already exists"))
}
