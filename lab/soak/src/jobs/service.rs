//! The delivery worker itself, in this process, each with a pool and telemetry of its own as in processes of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::try_join_all;
use pulse_delivery_worker::Settings;
use pulse_runtime::{Clock, Deps, Listeners, Shutdown};
use pulse_store::PoolSettings;
use pulse_telemetry::Telemetry;
use tokio::net::TcpListener;

use crate::database::Scratch;

/// How often is looked whether a job is left.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Where the sink is.
const HERE: &str = "127.0.0.0/8";

/// Runs delivery workers until no job is left; in how many seconds.
pub(super) async fn deliver(database: &Scratch, workers: usize) -> anyhow::Result<f64> {
    let shutdown = Shutdown::new();
    let started = Instant::now();
    let mut running = Vec::new();
    for _ in 0..workers {
        let telemetry = Telemetry::builder("delivery_worker").namespace("pulse").env(|_| None).init()?;
        let store = database.postgres()?.pool("delivery_worker", PoolSettings::default());
        let deps = Deps::new(Arc::new(store), telemetry, Clock::system());
        let public = TcpListener::bind("127.0.0.1:0").await?;
        let settings = Settings { allow_http: true, allowed_ranges: vec![HERE.parse()?], ..Settings::default() };
        running.push(tokio::spawn(pulse_delivery_worker::run(deps, settings, Listeners { public, admin: None }, shutdown.clone())));
    }
    let mut connection = database.connect().await?;
    sqlx::raw_sql("SET enable_seqscan = off").execute(&mut connection).await?;
    // As cheap as a look can be: the first entries of the indexes that workers work through.
    let is_left = "
        SELECT EXISTS (SELECT FROM jobs WHERE state = 'PENDING' AND queue = 'integration' LIMIT 1)
            OR EXISTS (SELECT FROM jobs WHERE state = 'LEASED' AND lease_until > 'epoch' LIMIT 1)";
    while sqlx::query_scalar(is_left).fetch_one(&mut connection).await? {
        anyhow::ensure!(running.iter().all(|worker| !worker.is_finished()), "a delivery worker ended early");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    shutdown.trigger();
    for ended in try_join_all(running).await? {
        ended.context("a delivery worker failed")?;
    }
    Ok(seconds)
}
