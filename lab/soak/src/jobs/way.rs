//! The ways to work off what waits, and a turn of each.

use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use pulse_store::Database as _;
use pulse_store::postgres::PostgresStore;
use tokio::task::JoinHandle;

use super::bare::Part;
use super::stock::Stock;
use super::{JobsSettings, bare, service, through_store};
use crate::database::Scratch;

/// A way to work off all jobs, or to make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Jobs, with nothing but a claim and a completion.
    Bare,
    /// The same on rows and indexes as the store has them, with the history that jobs go to.
    BareOwn,
    /// Jobs through the store.
    Store,
    /// Jobs by the delivery worker, over HTTP.
    Worker,
    /// Jobs made of nothing.
    BareEnqueue,
    /// Jobs made of events that leave their queue, with nothing else.
    BareDispatch,
    /// Jobs made of events through the store.
    Dispatch,
}

impl Way {
    pub(super) const OF_JOBS: [Self; 4] = [Self::Bare, Self::BareOwn, Self::Store, Self::Worker];
    pub(super) const OF_EVENTS: [Self; 3] = [Self::BareEnqueue, Self::BareDispatch, Self::Dispatch];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare claim, completion",
            Self::BareOwn => "the same on Pulse's rows",
            Self::Store => "claim_jobs, record_attempts",
            Self::Worker => "delivery worker",
            Self::BareEnqueue => "bare enqueue",
            Self::BareDispatch => "bare claim, enqueue",
            Self::Dispatch => "claim_events, commit_dispatch",
        }
    }
}

/// What all turns share.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    pub(super) settings: &'a JobsSettings,
    pub(super) database: &'a Scratch,
    pub(super) stock: Stock,
}

type Worker = JoinHandle<anyhow::Result<usize>>;

impl Turns<'_> {
    /// Jobs a second until none is left, by so many workers.
    pub(super) async fn take(&self, way: Way, workers: usize) -> anyhow::Result<f64> {
        let jobs = if way == Way::Worker { self.settings.delivered } else { self.settings.jobs };
        self.stock.put_back(self.database, way, jobs).await?;
        let (claim, batch) = (self.settings.claim, self.settings.batch);
        let (done, seconds) = match way {
            Way::Bare => self.bare(workers, |connection, _| tokio::spawn(bare::deliver(connection, claim))).await?,
            Way::BareOwn => self.bare(workers, |connection, _| tokio::spawn(bare::deliver_own(connection, claim))).await?,
            Way::BareDispatch => self.bare(workers, |connection, _| tokio::spawn(bare::dispatch(connection, batch))).await?,
            Way::BareEnqueue => {
                let part = |number| Part { statements: Arc::clone(&self.stock.statements), number, of: workers };
                self.bare(workers, |connection, number| tokio::spawn(bare::enqueue(connection, part(number)))).await?
            }
            Way::Store => self.through_store(workers, |store| tokio::spawn(through_store::deliver(store, claim))).await?,
            Way::Dispatch => self.through_store(workers, |store| tokio::spawn(through_store::dispatch(store, batch))).await?,
            Way::Worker => (jobs, service::deliver(self.database, workers).await?),
        };
        anyhow::ensure!(done == jobs, "{}: {done} of {jobs} jobs were done", way.name());
        Ok(f64::from(u32::try_from(done)?) / seconds)
    }

    /// Jobs done and seconds, each worker on a connection that is there before.
    async fn bare(&self, workers: usize, start: impl Fn(sqlx::PgConnection, usize) -> Worker) -> anyhow::Result<(usize, f64)> {
        let mut connections = Vec::new();
        for _ in 0..workers {
            connections.push(self.database.connect().await?);
        }
        timed(|| connections.into_iter().enumerate().map(|(number, connection)| start(connection, number)).collect()).await
    }

    /// The same with each worker's own store, of one connection.
    async fn through_store(&self, workers: usize, start: impl Fn(PostgresStore) -> Worker) -> anyhow::Result<(usize, f64)> {
        let stores = (0..workers).map(|_| self.database.store(1)).collect::<anyhow::Result<Vec<_>>>()?;
        for store in &stores {
            store.ping().await?;
        }
        timed(|| stores.into_iter().map(start).collect()).await
    }
}

async fn timed(start: impl FnOnce() -> Vec<Worker>) -> anyhow::Result<(usize, f64)> {
    let started = Instant::now();
    let done: usize = try_join_all(start()).await?.into_iter().sum::<anyhow::Result<usize>>()?;
    Ok((done, started.elapsed().as_secs_f64()))
}
