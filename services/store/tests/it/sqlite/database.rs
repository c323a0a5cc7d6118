//! The database as an operator sees it: its pool, its end, its faults.

use std::time::Duration;

use pulse_store::PoolSettings;
use pulse_store::{Database as _, Error, PoolStatus, RegistryStore as _, Topic};

use super::raw;
use crate::fixture::*;

/// Polls until it holds: connections come back to their pool a moment after they were dropped.
pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_pool_says_what_sqlx_says() {
    let db = Db::sqlite().await;
    let store = db.file().pool(PoolSettings { max_connections: 3, ..PoolSettings::default() }).await.unwrap();
    store.ping().await.unwrap();
    eventually("one connection to write and one to read, idle", async || store.pool() == PoolStatus { size: 2, idle: 2, max: 3 }).await;
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let db = Db::sqlite().await;
    db.ping().await.unwrap();
    db.close().await;
    for error in [db.ping().await.unwrap_err(), db.tenants(&all()).await.unwrap_err()] {
        assert!(error.is_transient(), "{error:?}");
        assert_eq!(error.to_string(), "the database is not available");
    }
    assert_eq!(db.pool().size, 0);
}

#[tokio::test]
async fn closing_one_services_pool_leaves_the_others() {
    let db = Db::sqlite().await;
    let other = db.file().pool(PoolSettings::default()).await.unwrap();
    db.close().await;
    other.ping().await.unwrap();
    let tenant = pulse_domain::device::Tenant { tenant_id: tenant("t1"), name: "T".into(), created_at: at(0) };
    other.insert_tenant(&tenant).await.unwrap();
}

#[tokio::test]
async fn wake_ups_reach_every_pool_of_the_file() {
    let db = Db::sqlite().await;
    let other = db.file().pool(PoolSettings::default()).await.unwrap();
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let mut wake = other.wake(Topic::Readings);
    wake.arm();
    db.append_readings(&[reading(&key(&t, "d1"), at(1))]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), wake.signalled()).await.unwrap();
}

#[tokio::test]
async fn what_does_not_read_as_it_should_is_corrupt_and_named() {
    let db = Db::sqlite().await;
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let rule = rule(&t);
    db.insert_rule(&rule).await.unwrap();
    let mut connection = raw(db.file().path()).await;
    sqlx::query("UPDATE devices SET lifecycle = 'LOST'; UPDATE rules SET spec = '{}'").execute(&mut connection).await.unwrap();
    let device = db.device(&key(&t, "d1")).await.unwrap_err();
    assert!(matches!(device, Error::Corrupt { what: "a device", .. }), "{device:?}");
    let rule = db.rule(&t, rule.rule_id).await.unwrap_err();
    assert!(matches!(rule, Error::Corrupt { what: "a rule", .. }), "{rule:?}");
    assert!(!device.is_transient());
}

#[tokio::test]
async fn a_writer_in_another_process_is_waited_for() {
    let db = Db::sqlite().await;
    let mut other = raw(db.file().path()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let store = db.shared();
    let waiting = tokio::spawn(async move {
        let tenant = pulse_domain::device::Tenant { tenant_id: tenant("t1"), name: "T".into(), created_at: at(0) };
        store.insert_tenant(&tenant).await
    });
    // Readers are free meanwhile.
    assert_eq!(db.tenants(&all()).await.unwrap().items, []);
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(db.tenants(&all()).await.unwrap().items.len(), 1);
}
