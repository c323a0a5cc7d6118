//! What befalls a PostgreSQL and the way to it.
//!
//! In all of these a user sees the same: devices are answered 503 with Retry-After, or wait, and keep their readings; /ready of each service says
//! that the database is away; no process ends. Once the database is there again all goes on by itself.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::account::Account;
use crate::database::Reached;
use crate::world::{Bench, Setup, World};

/// Of how long a fault lasts: how long the server is away in one of the rounds.
const AWAY: f64 = 0.25;
/// What a slow network takes, each way.
const FAR_AWAY: Duration = Duration::from_millis(20);

/// The server is killed with all its processes under load, and recovers.
///
/// What must hold: the account; no 202 was given for what the server had not written.
pub async fn is_killed(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup { reached: Reached::OnItsOwnServer, ..Setup::default() }).await?;
    for _ in 0..bench.scale.rounds {
        world.database.postgres()?.lose_power(bench.scale.hold.mul_f64(AWAY)).await?;
        world.steady().await?;
    }
    world.finish().await
}

/// Every connection of the services is ended at once, again and again.
///
/// What must hold: the account; whoever was at work begins again.
pub async fn ends_all_connections(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup::default()).await?;
    for _ in 0..bench.scale.rounds * 3 {
        let ended = world.database.postgres()?.terminate_backends().await?;
        ensure!(ended > 0, "the services have no connections");
        tokio::time::sleep(bench.scale.hold.mul_f64(AWAY)).await;
    }
    world.steady().await?;
    world.finish().await
}

/// The server has no connection left for the services, whose pools have two each.
///
/// What must hold: the account; small pools are enough for the load, before and after.
pub async fn has_no_connection_left(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup::default().with("PULSE_DATABASE_POOL_MAX", "2")).await?;
    let postgres = world.database.postgres()?;
    postgres.refuse_connections().await?;
    tokio::time::sleep(bench.scale.hold).await;
    world.check()?;
    world.database.postgres()?.allow_connections().await?;
    world.steady().await?;
    world.finish().await
}

/// Somebody's transaction holds a row of every device, alert and job, and keeps the server from tidying up, for as long as the fault lasts.
///
/// What must hold: the account; devices that the transaction does not touch would go on, which here are none.
pub async fn has_a_transaction_held_open(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup::default()).await?;
    let held = world.database.postgres()?.hold_rows(bench.scale.hold).await?;
    held.await??;
    world.steady().await?;
    world.finish().await
}

/// The network to the server is cut: connections are reset, new ones are refused.
///
/// What must hold: the account.
pub async fn is_cut_off(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup { reached: Reached::ThroughNetwork, ..Setup::default() }).await?;
    world.database.postgres()?.network()?.cut().await;
    tokio::time::sleep(bench.scale.network_away).await;
    world.check()?;
    world.database.postgres()?.network()?.heal().await;
    world.steady().await?;
    world.finish().await
}

/// The network to the server falls silent: connections stay and nothing comes through, then all that was sent arrives.
///
/// What must hold: the account; a commit that was sent into the silence is made once in effect, whether or not its answer was waited for.
pub async fn is_silent(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup { reached: Reached::ThroughNetwork, ..Setup::default() }).await?;
    world.database.postgres()?.network()?.stall().await;
    tokio::time::sleep(bench.scale.network_away).await;
    world.check()?;
    world.database.postgres()?.network()?.heal().await;
    world.steady().await?;
    world.finish().await
}

/// The network to the server is slow, in both directions.
///
/// What must hold: the account; statements a cycle do not grow with what is to be done, so that a slow network only makes them later.
pub async fn is_far_away(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup { reached: Reached::ThroughNetwork, ..Setup::default() }).await?;
    world.database.postgres()?.network()?.delay(FAR_AWAY).await;
    world.steady().await?;
    world.database.postgres()?.network()?.heal().await;
    world.finish().await
}
