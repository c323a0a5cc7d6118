//! PostgreSQL 15 and later behind the store's traits: any number of processes on one database.
//!
//! Every method is one transaction, reads too, begun by one message that also sets the transaction's bounds and its tenant. So each works
//! through a pooler that hands out connections by the transaction, and the bounds need no settings of the server.

mod alerts;
mod changes;
mod connection;
mod delivery;
mod dispatch;
mod error;
mod evaluation;
mod hints;
mod ingest;
mod ops;
mod registry;
mod rows;
mod schema;
mod transaction;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPool};

use crate::acquire::Acquires;
use crate::{AcquireObserver, Database, Error, PoolSettings, PoolStatus, Result, Topic, Wake};

use connection::{Server, pool_options};
use hints::Hints;
use transaction::Scope;

pub(crate) use error::trouble;
pub use schema::{Migrated, SchemaError, UrlError};

/// A database on a server, as one process knows it: what its pools share.
#[derive(Clone)]
pub struct Postgres {
    options: PgConnectOptions,
    /// Whether connections keep what was prepared on them from one transaction to the next.
    keeps_prepared: bool,
    hints: Hints,
}

/// Without the options, which hold the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.place()).finish()
    }
}

impl Postgres {
    /// Reads `postgres://…`; nothing is asked of the network. Parameters are those of libpq that sqlx knows (`sslmode=verify-full`,
    /// `sslrootcert=…`), and `statement-cache-capacity=0` for a pooler that cannot keep prepared statements.
    ///
    /// # Errors
    /// Says what a URL looks like, never what this one held.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let options = schema::options(url)?;
        let keeps_prepared = schema::keeps_prepared(url);
        let hints = Hints::new(options.clone(), keeps_prepared);
        Ok(Self { options, keeps_prepared, hints })
    }

    /// Where the database is, for people: `host:port/name`.
    pub fn place(&self) -> String {
        format!("{}:{}/{}", self.options.get_host(), self.options.get_port(), self.options.get_database().unwrap_or("postgres"))
    }

    /// Asks once whether the database can be reached and has a schema that this version can work on.
    ///
    /// # Errors
    /// What is in the way, as a variant for each thing that can be done about it.
    pub async fn check(&self) -> Result<(), SchemaError> {
        schema::check(&self.options).await
    }

    /// Brings the schema to this version's. Several may do so at once: one does the work, the others wait and find it done.
    ///
    /// # Errors
    /// As [`Postgres::check`], or the statement of a migration that failed, after which the schema is as before it.
    pub async fn migrate(&self) -> Result<Migrated, SchemaError> {
        schema::migrate(&self.options).await
    }

    /// A pool for one service, so that the pool's numbers speak of that service alone. Connects when it is first used, not now. The server
    /// shows `name` as the application's.
    pub fn pool(&self, name: &str, settings: PoolSettings) -> PostgresStore {
        let options = self.options.clone().application_name(&format!("pulse {name}"));
        PostgresStore {
            pool: pool_options(settings.max_connections, settings.acquire_timeout).connect_lazy_with(options.clone()),
            server: Server::new(options),
            keeps_prepared: self.keeps_prepared,
            hints: self.hints.clone(),
            acquires: Acquires::default(),
        }
    }
}

/// One service's door to the database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: PgPool,
    server: Server,
    keeps_prepared: bool,
    hints: Hints,
    acquires: Acquires,
}

#[async_trait]
impl Database for PostgresStore {
    fn product(&self) -> &'static str {
        "postgresql"
    }

    async fn ping(&self) -> Result<()> {
        let mut transaction = self.begin(Scope::AllTenants).await?;
        let fits = schema::is_known(transaction.connection()).await?;
        transaction.commit().await?;
        fits.map_err(|newer| Error::Schema(newer.into()))
    }

    fn pool(&self) -> PoolStatus {
        PoolStatus {
            size: self.pool.size(),
            idle: u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX),
            max: self.pool.options().get_max_connections(),
        }
    }

    fn observe_acquires(&self, observer: Arc<dyn AcquireObserver>) {
        self.acquires.observe(observer);
    }

    fn wake(&self, topic: Topic) -> Wake {
        self.hints.wake(topic)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
