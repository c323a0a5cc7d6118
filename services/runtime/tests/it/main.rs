//! The runtime against the real store, real telemetry and real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod cycle;
mod http;
mod spans;
mod tasks;

use std::sync::Arc;

use pulse_runtime::{Clock, Deps};
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_telemetry::Telemetry;

/// A service's dependencies on a database of its own; the folder lives as long as the test wants it.
pub async fn deps() -> (Deps, tempfile::TempDir) {
    deps_as(Telemetry::builder("evaluator").namespace("pulse").env(|_| None).init().unwrap()).await
}

pub async fn deps_as(telemetry: Telemetry) -> (Deps, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("pulse.db")).await.unwrap();
    let store = sqlite.pool(PoolSettings::default()).await.unwrap();
    (Deps::new(Arc::new(store), telemetry, Clock::system()), folder)
}
