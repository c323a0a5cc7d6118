//! Pulse's memory. Each arrow between services is a table here, never a call, so that every service can stop, crash and be multiplied
//! on its own.
//!
//! [`Store`] is the one door: SQLite and PostgreSQL are behind it, and one contract suite holds both to the same promises. Nothing in the
//! traits leans on a dialect: claims are batched and leased, bulk writes take slices, and every method names its tenant where it has one.
//!
//! # Promises
//! - **Durable on return.** A method that returned `Ok` survives kill -9.
//! - **Guarded.** What was claimed under a lease is finished only under it; a worker that lost its lease changes nothing.
//! - **All or nothing.** Each method is one transaction, but for claims and purges that say otherwise.
//! - **To the letter.** What is kept comes back as it was, but that PostgreSQL's texts cannot hold U+0000: whoever lets texts in refuses it.
//! - **Cancel-safe.** Dropping a future leaves the whole change or none.

mod acquire;
mod alerts;
mod changes;
mod delivery;
mod dispatch;
mod error;
mod evaluation;
mod ingest;
mod migrations;
mod ops;
mod page;
mod paging;
pub mod postgres;
mod registry;
mod snapshot;
pub mod sqlite;
mod wake;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::ids::LeaseId;

pub use acquire::{AcquireEnd, AcquireObserver};
pub use alerts::{AlertFilter, AlertStore, TenantFleet};
pub use delivery::{AttemptRecord, ClaimedJob, DeliveryStore, JobBatch, JobFilter, RecordSummary};
pub use dispatch::{DispatchStore, DispatchSummary, EventBatch};
pub use error::{Error, Result, within};
pub use evaluation::{CommitSummary, DueBatch, EvaluationStore, RulesVersion};
pub use ingest::{DeviceCredential, IngestStore};
pub use ops::{OpsStore, Purged};
pub use page::{Cursor, Page, PageRequest};
pub use postgres::Migrated;
pub use registry::{DeviceFilter, DeviceSpec, RegistryStore};
pub use wake::{Topic, Wake};

/// Everything that a store can do.
pub trait Store: Database + RegistryStore + IngestStore + EvaluationStore + AlertStore + DispatchStore + DeliveryStore + OpsStore {}

impl<T> Store for T where T: Database + RegistryStore + IngestStore + EvaluationStore + AlertStore + DispatchStore + DeliveryStore + OpsStore
{}

/// A store, shared.
pub type SharedStore = Arc<dyn Store>;

/// The database behind the store, as an operator sees it.
#[async_trait]
pub trait Database: Debug + Send + Sync + 'static {
    /// The database's product, by its name in the OpenTelemetry conventions (`db.system.name`).
    fn product(&self) -> &'static str;

    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<()>;

    /// The pool right now: atomic loads, safe in a metric's callback.
    fn pool(&self) -> PoolStatus;

    /// From now on `observer` sees every request for a connection. A store has one observer: the first that it is given.
    fn observe_acquires(&self, observer: Arc<dyn AcquireObserver>);

    /// A wake-up for work on `topic`. It is a hint that may be lost or come for nothing: polling is the truth.
    fn wake(&self, topic: Topic) -> Wake;

    /// Closes every connection once it is free; further calls fail.
    async fn close(&self);
}

/// What sqlx says of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Open connections, idle included.
    pub size: u32,
    /// Of these, how many nobody uses.
    pub idle: u32,
    /// The most there may be.
    pub max: u32,
}

/// How a service's pool is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// The most connections. SQLite takes at least 2: one is for writing, the others read.
    pub max_connections: u32,
    /// How long to wait for a free connection before the call fails as unavailable. Where the server cannot be reached it fails within seconds.
    pub acquire_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { max_connections: 4, acquire_timeout: Duration::from_secs(5) }
    }
}

/// How much to claim, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The present, by the caller's clock.
    pub now: Timestamp,
    /// The most rows.
    pub limit: u32,
    /// After `now + lease` others may claim what is not finished.
    pub lease: Duration,
}

/// A queue's true state, counted in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// All that is due, claimed but unfinished work included.
    pub depth: u64,
    /// Since when the oldest has been due; none when the queue is empty.
    pub oldest_at: Option<Timestamp>,
}

/// The lease of an empty batch is never stored; this makes one all the same, so that a batch always has one.
pub(crate) fn new_lease() -> LeaseId {
    LeaseId::generate()
}
