//! Clocks are wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::account::Account;
use crate::faked_clock::FakedClock;
use crate::scenario::replicas::of_each;
use crate::service::Service;
use crate::wait::until;
use crate::world::{Bench, Setup, World};

/// How far from its offset a clock may seem: what it is read from is seconds old.
const TOLERANCE_S: f64 = 3.0;

/// The clock of the machine is stepped under everything: forward, back to the truth, behind it, and to the truth again.
///
/// A user sees: times in the API as the clock had them. After a step back, what was due by the old clock waits until the new one has come so
/// far: alerts and messages are late by the step at the most. No device is called silent. What must hold: the account.
pub async fn is_stepped(bench: &Bench) -> Result<Account> {
    let folder = tempfile::tempdir()?;
    let clock = FakedClock::new(&folder.path().join("clock"))?;
    let mut world = World::start(bench, Setup { environment: with_heartbeats(&clock), ..Setup::default() }).await?;
    let step = i64::try_from(bench.scale.clock_step.as_secs())?;
    for offset in [step, 0, -step, 0] {
        clock.set(offset)?;
        is_off(&world, 0, offset).await?;
        world.steady().await?;
    }
    world.finish().await
}

/// Of two of each service, one has a clock that is ahead, then behind.
///
/// A user sees: what the one that is ahead has made is done late by that much; leases are taken from whoever holds them too early, so some
/// messages come twice. No device is called silent. What must hold: the account: no lease that was taken away is worked under to its end.
pub async fn of_one_replica_is_wrong(bench: &Bench) -> Result<Account> {
    let folder = tempfile::tempdir()?;
    let clock = FakedClock::new(&folder.path().join("clock"))?;
    let mut world = World::start(bench, Setup { replicas: of_each(2), ..Setup::default() }).await?;
    for service in Service::ALL {
        let second = world.system.of(service).nth(1).with_context(|| format!("there is no second {service}"))?;
        second.terminate().await?;
        second.environment.extend(with_heartbeats(&clock));
    }
    world.system.resume().await?;
    let step = i64::try_from(bench.scale.clock_step.as_secs())?;
    for offset in [step, -step, 0] {
        clock.set(offset)?;
        is_off(&world, 1, offset).await?;
        world.steady().await?;
    }
    world.finish().await
}

/// With the limit for silent devices that users have, unlike in other scenarios.
fn with_heartbeats(clock: &FakedClock) -> Vec<(String, String)> {
    let mut environment = clock.environment();
    environment.push(("PULSE_HEARTBEAT_STALE".to_owned(), "30s".to_owned()));
    environment
}

/// Waits until an evaluator shows that its clock has this offset: else the scenario would show nothing.
async fn is_off(world: &World, replica: usize, offset: i64) -> Result<()> {
    until(bench_wait(world), "a clock is stepped", async || {
        let scrapes = world.system.scrape(Service::Evaluator).await.map_err(|error| format!("{error:#}"))?;
        let scrape = scrapes.get(replica).ok_or("no such replica")?;
        let shown = scrape.sum("pulse_processing_last_success_timestamp_seconds", &["operation=\"evaluation_cycle\""]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs_f64();
        let seen = shown.ok_or("nothing was evaluated yet")? - now;
        let wanted = f64::from(i32::try_from(offset).map_err(|error| error.to_string())?);
        if (seen - wanted).abs() < TOLERANCE_S { Ok(()) } else { Err(format!("it is off by {seen} s, not {offset} s")) }
    })
    .await
    .and_then(|()| {
        ensure!(offset == 0 || world.scale.clock_step.as_secs_f64() > TOLERANCE_S, "a step must be more than {TOLERANCE_S} s to be seen");
        Ok(())
    })
}

fn bench_wait(world: &World) -> std::time::Duration {
    world.scale.hold * 5
}
