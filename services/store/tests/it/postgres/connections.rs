//! Connections that are not to be had, and those whose other side has gone without a word.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pulse_store::{AcquireEnd, AcquireObserver, Error, PoolSettings, SharedStore, within};
use pulse_testbed::postgres::Cluster;
use pulse_testbed::proxy::Proxy;

use super::{execute, store, until_waiting};
use crate::fixture::*;

/// How the waits for a connection ended.
#[derive(Debug, Default)]
struct Ends(Mutex<Vec<AcquireEnd>>);

impl Ends {
    fn watch(store: &SharedStore) -> Arc<Self> {
        let ends = Arc::new(Self::default());
        let observer = Arc::clone(&ends);
        store.observe_acquires(observer);
        ends
    }

    fn take(&self) -> Vec<AcquireEnd> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AcquireObserver for Ends {
    fn waits(&self) {}

    fn waited(&self, _: Duration, end: AcquireEnd) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(end);
    }
}

/// What is at the bottom of an error that a later call may not meet.
fn cause(error: &Error) -> String {
    let Error::Unavailable(source) = error else { panic!("{error:?}") };
    std::iter::successors(Some(&**source as &dyn std::error::Error), |error| error.source()).last().unwrap().to_string()
}

/// One connection, and a wait for it that is longer than any of these tests.
const ONE: PoolSettings = PoolSettings { max_connections: 1, acquire_timeout: Duration::from_secs(60) };

/// A database behind a network, and a store on it.
async fn scene(settings: PoolSettings) -> (Db, Proxy, SharedStore) {
    let db = Db::postgres().await;
    let network = Proxy::start(Cluster::shared().await.port()).await;
    let store = store(&db.server().url_through(&network, "pulse_worker").await, settings);
    store.ping().await.unwrap();
    (db, network, store)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_server_that_refuses_is_named_long_before_the_wait_for_a_connection_ends() {
    let (_db, mut network, store) = scene(ONE).await;
    let ends = Ends::watch(&store);
    network.cut().await;
    let started = Instant::now();
    let (first, second) = tokio::join!(store.ping(), store.ping());
    for refused in [first, second] {
        let refused = cause(&refused.unwrap_err());
        assert!(refused.contains("refused"), "{refused}");
    }
    assert!(started.elapsed() < ONE.acquire_timeout / 4, "{:?}", started.elapsed());
    let ended = ends.take();
    assert!(ended.contains(&AcquireEnd::Failed) && !ended.contains(&AcquireEnd::TimedOut), "nobody waited for anybody: {ended:?}");
    network.heal().await;
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_wait_for_others_ends_as_one() {
    let (db, _network, store) = scene(PoolSettings { acquire_timeout: Duration::from_secs(2), ..ONE }).await;
    let ends = Ends::watch(&store);
    let mut superuser = db.server().connect().await;
    execute(&mut superuser, "BEGIN; LOCK TABLE tenants").await.unwrap();
    let holds = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.tenant(&tenant("t1")).await }
    });
    let mut other = db.server().connect().await;
    until_waiting(&mut other, 1).await;
    let late = store.ping().await.unwrap_err();
    assert!(cause(&late).contains("timed out"), "{late:?}");
    execute(&mut superuser, "COMMIT").await.unwrap();
    holds.await.unwrap().unwrap();
    assert_eq!(ends.take(), [AcquireEnd::Acquired, AcquireEnd::TimedOut]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_server_that_has_no_room_is_waited_for_and_named() {
    let (db, _network, store) = scene(PoolSettings { acquire_timeout: Duration::from_secs(3), ..ONE }).await;
    let (mut superuser, name) = (db.server().connect().await, db.server().database.name().to_owned());
    execute(&mut superuser, &format!("ALTER DATABASE {name} CONNECTION LIMIT 0")).await.unwrap();
    let ended =
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    execute(&mut superuser, ended).await.unwrap();
    let full = cause(&store.ping().await.unwrap_err());
    assert!(full.contains("too many connections"), "{full}");
    let waits = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.ping().await }
    });
    // Longer than until the server is first looked at.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    execute(&mut superuser, &format!("ALTER DATABASE {name} CONNECTION LIMIT -1")).await.unwrap();
    waits.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_connection_to_a_server_gone_without_a_word_gives_its_place_back() {
    let (_db, mut network, store) = scene(ONE).await;
    // It was in use a moment ago, so it is taken to be alive.
    network.lose_connections();
    let silent = within(Duration::from_secs(1), store.ping()).await.unwrap_err();
    assert_eq!(silent.kind(), "unavailable");
    // Its place is free once it has not answered on its return.
    within(ONE.acquire_timeout / 4, store.ping()).await.unwrap();

    // One that has idled is asked first, and the call that meets it only waits.
    tokio::time::sleep(Duration::from_secs(6)).await;
    network.lose_connections();
    within(ONE.acquire_timeout / 4, store.ping()).await.unwrap();
}
