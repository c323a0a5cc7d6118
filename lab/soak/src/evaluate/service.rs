//! The evaluator itself, in this process, each worker with a pool and telemetry of its own as in processes of their own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use pulse_evaluator::Settings;
use pulse_runtime::{Clock, Deps, Listeners, Shutdown};
use pulse_store::PoolSettings;
use pulse_telemetry::Telemetry;
use tokio::net::TcpListener;

use crate::database::Scratch;

/// How often is looked whether anything is still due.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Devices that fall silent while they wait for their turn would open alerts; the scenario is about quiet ones.
const NEVER_STALE: Duration = Duration::from_hours(24);

/// Runs evaluators until nothing is due.
pub(super) async fn work(database: &Scratch, batch_size: u32, workers: usize) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    let mut running = Vec::new();
    for _ in 0..workers {
        let telemetry = Telemetry::builder("evaluator").namespace("pulse").env(|_| None).init()?;
        let store = database.postgres()?.pool("evaluator", PoolSettings::default());
        let deps = Deps::new(Arc::new(store), telemetry, Clock::system());
        let public = TcpListener::bind("127.0.0.1:0").await?;
        let settings = Settings { batch_size, heartbeat_stale: NEVER_STALE, ..Settings::default() };
        running.push(tokio::spawn(pulse_evaluator::run(deps, settings, Listeners { public, admin: None }, shutdown.clone())));
    }
    let mut connection = database.connect().await?;
    // As cheap as a look can be: the first entry of the index that evaluators work through.
    let is_due = "SELECT EXISTS (SELECT FROM device_state WHERE due_at <= now() LIMIT 1)";
    while sqlx::query_scalar(is_due).fetch_one(&mut connection).await? {
        anyhow::ensure!(running.iter().all(|evaluator| !evaluator.is_finished()), "an evaluator ended early");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    shutdown.trigger();
    for ended in try_join_all(running).await? {
        ended.context("an evaluator failed")?;
    }
    Ok(())
}
