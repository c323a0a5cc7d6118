//! Connections: all are handed out here, so that the observer sees every wait for one.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Sqlite, SqliteConnection};
use tokio::sync::OwnedMutexGuard;

use super::SqliteStore;
use crate::Result;

impl SqliteStore {
    /// A connection to read with.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>> {
        self.acquires.observed(async { Ok(self.readers.acquire().await?) }).await
    }

    /// Waits for the gate, then for this service's one writing connection.
    ///
    /// The gate comes first, so that writers wait in a fair queue rather than on SQLite's lock, which whoever asks at the right moment
    /// gets. Whoever has passed it waits for no reader, as the writing connection is apart from theirs. To the observer both are one wait.
    pub(super) async fn writing_connection(&self) -> Result<(PoolConnection<Sqlite>, OwnedMutexGuard<()>)> {
        self.acquires
            .observed(async {
                let gate = Arc::clone(&self.shared.gate).lock_owned().await;
                Ok((self.writers.acquire().await?, gate))
            })
            .await
    }
}

/// Whether a connection may be handed out: one that is taken for being in a transaction is closed, and another one opened.
///
/// Some failures, a full disk among them, make SQLite roll back by itself. sqlx's own rollback then finds nothing to roll back, and sqlx goes
/// on to count a transaction that no longer is: the connection could begin no other one for as long as it lived.
pub(super) async fn is_out_of_transaction(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // The rollback of a transaction that was dropped may be on its way still; this waits for it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use crate::PoolSettings;
    use crate::sqlite::Sqlite;
    use crate::{AcquireEnd, AcquireObserver, Database as _, Error};

    use super::*;

    /// Keeps what it is told.
    #[derive(Debug, Default)]
    struct Told(Mutex<(i64, Vec<(AcquireEnd, Duration)>)>);

    impl Told {
        /// How many wait, and how the others' waits ended.
        fn so_far(&self) -> (i64, Vec<AcquireEnd>) {
            let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (told.0, told.1.iter().map(|(end, _)| *end).collect())
        }

        fn last_wait(&self) -> Duration {
            self.0.lock().unwrap().1.last().unwrap().1
        }
    }

    impl AcquireObserver for Told {
        fn waits(&self) {
            self.0.lock().unwrap().0 += 1;
        }

        fn waited(&self, wait: Duration, end: AcquireEnd) {
            let mut told = self.0.lock().unwrap();
            told.0 -= 1;
            told.1.push((end, wait));
        }
    }

    const TIMEOUT: Duration = Duration::from_millis(100);

    /// One connection to read with and one to write with.
    async fn observed() -> (SqliteStore, Arc<Told>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
        let store = sqlite.pool(PoolSettings { max_connections: 2, acquire_timeout: TIMEOUT }).await.unwrap();
        let told = Arc::new(Told::default());
        store.observe_acquires(Arc::clone(&told) as Arc<dyn AcquireObserver>);
        (store, told, folder)
    }

    #[tokio::test]
    async fn every_kind_of_request_is_seen() {
        let (store, told, _folder) = observed().await;
        store.ping().await.unwrap();
        drop(store.writer().await.unwrap());
        drop(store.write().await.unwrap());
        store.clone().ping().await.unwrap();
        assert_eq!(told.so_far(), (0, vec![AcquireEnd::Acquired; 4]));
        store.close().await;
        assert!(store.ping().await.is_err());
        assert_eq!(told.so_far().1.last(), Some(&AcquireEnd::Failed));
    }

    #[tokio::test]
    async fn a_request_without_a_connection_in_time_has_timed_out() {
        let (store, told, _folder) = observed().await;
        let held = store.reader().await.unwrap();
        assert!(matches!(store.ping().await, Err(Error::Unavailable(_))));
        assert_eq!(told.so_far(), (0, vec![AcquireEnd::Acquired, AcquireEnd::TimedOut]));
        assert!(told.last_wait() >= TIMEOUT, "{:?}", told.last_wait());
        drop(held);
    }

    #[tokio::test]
    async fn waiting_for_the_gate_is_waiting_and_whoever_leaves_waits_no_more() {
        let (store, told, _folder) = observed().await;
        let held = store.writer().await.unwrap();
        let waiting = [store.clone(), store.clone()].map(|store| tokio::spawn(async move { drop(store.write().await.unwrap()) }));
        while told.so_far().0 < 2 {
            tokio::task::yield_now().await;
        }
        let [leaves, stays] = waiting;
        leaves.abort();
        assert!(leaves.await.unwrap_err().is_cancelled());
        assert_eq!(told.so_far(), (1, vec![AcquireEnd::Acquired, AcquireEnd::GivenUp]));
        drop(held);
        stays.await.unwrap();
        assert_eq!(told.so_far(), (0, vec![AcquireEnd::Acquired, AcquireEnd::GivenUp, AcquireEnd::Acquired]));
    }

    #[tokio::test]
    async fn after_a_full_disk_the_next_write_goes_through() {
        let (store, _told, _folder) = observed().await;
        let mut full = store.write().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(full.connection()).await.unwrap();
        let filled =
            sqlx::query("INSERT INTO sequences (name, value) VALUES (hex(randomblob(1000000)), 0)").execute(full.connection()).await;
        assert_eq!(crate::sqlite::error::primary_code(&filled.unwrap_err()), Some(13));
        drop(full);
        let next = store.write().await.unwrap();
        next.commit().await.unwrap();
    }
}
