//! SQLite behind the store's traits: one file in WAL mode, one writer at a time, readers free.

mod acquire;
mod alerts;
mod changes;
mod delivery;
mod dispatch;
mod error;
mod evaluation;
mod ingest;
mod open;
mod ops;
#[cfg(test)]
mod plans;
mod registry;
mod rows;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::{Mutex, watch};

use crate::acquire::Acquires;
use crate::{AcquireObserver, Database, Migrated, PoolSettings, PoolStatus, Result, Topic, Wake};

pub(crate) use error::trouble;
pub use open::OpenError;

/// How long a statement waits for a writer in another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages that a connection keeps, in KiB: the operating system's cache holds the rest, once for all connections.
const PAGE_CACHE_KIB: u32 = 2048;
/// Pages in the write-ahead log before a commit carries them into the file: large, as busy pages are then carried once for many commits.
const CHECKPOINT_PAGES: u32 = 4000;
/// What a log that had to grow is cut back to, in bytes.
const LOG_KEPT_BYTES: u32 = 64 << 20;

/// A database file, as one process holds it: what its pools share.
#[derive(Debug, Clone)]
pub struct Sqlite {
    path: PathBuf,
    migrated: Migrated,
    shared: Arc<Shared>,
}

/// The gate that lets one writer in at a time, and the wake-ups.
#[derive(Debug)]
struct Shared {
    gate: Arc<Mutex<()>>,
    readings: watch::Sender<u64>,
    events: watch::Sender<u64>,
    jobs: watch::Sender<u64>,
}

impl Shared {
    fn sender(&self, topic: Topic) -> &watch::Sender<u64> {
        match topic {
            Topic::Readings => &self.readings,
            Topic::Events => &self.events,
            Topic::Jobs => &self.jobs,
        }
    }
}

impl Sqlite {
    /// Opens the file, makes it (and its folder) where there is none, and brings it to the schema of this version.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let migrated = open::prepare(&path).await?;
        let shared = Shared {
            gate: Arc::new(Mutex::new(())),
            readings: watch::Sender::new(0),
            events: watch::Sender::new(0),
            jobs: watch::Sender::new(0),
        };
        Ok(Self { path, migrated, shared: Arc::new(shared) })
    }

    /// What opening it did to its schema.
    pub fn migrated(&self) -> Migrated {
        self.migrated
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A pool for one service, so that the pool's numbers speak of that service alone.
    pub async fn pool(&self, settings: PoolSettings) -> Result<SqliteStore> {
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(settings.acquire_timeout)
                .max_lifetime(None)
                // A connection to a file does not break while it idles, and asking it costs as much as a statement.
                .test_before_acquire(false)
                .before_acquire(|connection, _idle| Box::pin(acquire::is_out_of_transaction(connection)))
        };
        let options = connect_options(&self.path);
        let writers = pool(1).connect_with(options.clone()).await?;
        let readers = pool(settings.max_connections.max(2) - 1).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(SqliteStore { writers, readers, shared: Arc::clone(&self.shared), acquires: Acquires::default() })
    }
}

/// How every connection is set up.
fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        // A commit is on the disk before it returns: what was acknowledged survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", format!("-{PAGE_CACHE_KIB}"))
        .pragma("temp_store", "MEMORY")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", LOG_KEPT_BYTES.to_string())
}

/// One service's door to the database file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// One connection: the gate lets no second writer in.
    writers: SqlitePool,
    readers: SqlitePool,
    shared: Arc<Shared>,
    acquires: Acquires,
}

#[async_trait]
impl Database for SqliteStore {
    fn product(&self) -> &'static str {
        "sqlite"
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1 FROM tenants LIMIT 1").execute(&mut *self.reader().await?).await?;
        Ok(())
    }

    fn pool(&self) -> PoolStatus {
        let pools = [&self.writers, &self.readers];
        let idle: usize = pools.iter().map(|pool| pool.num_idle()).sum();
        PoolStatus {
            size: pools.iter().map(|pool| pool.size()).sum(),
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
            max: pools.iter().map(|pool| pool.options().get_max_connections()).sum(),
        }
    }

    fn observe_acquires(&self, observer: Arc<dyn AcquireObserver>) {
        self.acquires.observe(observer);
    }

    fn wake(&self, topic: Topic) -> Wake {
        Wake::new(self.shared.sender(topic).subscribe())
    }

    async fn close(&self) {
        tokio::join!(self.writers.close(), self.readers.close());
    }
}
