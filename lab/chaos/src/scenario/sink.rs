//! The receiver misbehaves, then is well.

use std::time::Duration;

use anyhow::{Result, ensure};
use pulse_simulator::sink::behaviour::{Behaviour, Mode};
use serde_json::{Value, json};

use crate::account::Account;
use crate::registry::TENANT;
use crate::world::{Bench, Setup, World};

/// How long a slow receiver takes: less than the delivery's timeout of 2 s.
const SLOW_MS: u64 = 500;
/// Within this time a receiver that is well again is tried again.
const RETRY_WITHIN: Duration = Duration::from_secs(10);

/// The receiver hangs, cuts connections, dies before its answers, fails and is slow, each for a while, then is well.
///
/// A user sees: messages late by the retries' waits, and readings and alerts as ever. What must hold: the account; nothing is given up while
/// attempts are left; readings go on being taken meanwhile; what the receiver had taken and not answered comes again under the same id.
pub async fn misbehaves_then_is_well(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup::default()).await?;
    let faults = [
        Behaviour::new(Mode::Hang),
        Behaviour::new(Mode::Reset),
        Behaviour::new(Mode::Lose),
        Behaviour { retry_after: Some(1), ..Behaviour::new(Mode::Fail) },
        Behaviour { delay_ms: Some(SLOW_MS), ..Behaviour::new(Mode::Slow) },
    ];
    for fault in &faults {
        let before = world.acknowledged();
        world.behave(fault)?;
        tokio::time::sleep(bench.scale.hold / 5).await;
        ensure!(world.acknowledged() > before, "no reading was taken while the receiver was {:?}", fault.mode);
    }
    ensure!(world.sink.stats().misbehaved > 0, "nothing met the misbehaving receiver");
    world.behave(&Behaviour::default())?;
    world.steady().await?;
    let account = world.finish().await?;
    ensure!(account.jobs.dead == 0, "{} jobs were given up", account.jobs.dead);
    ensure!(account.messages.doubled > 0, "no message came again though answers were lost");
    Ok(account)
}

/// The receiver fails for longer than jobs are tried, then is well, and somebody replays what was given up.
///
/// A user sees: dead jobs in the list, each with its last error; after a replay their messages arrive, under the ids they always had. What must
/// hold: the account, with dead jobs before the replay and none after it.
pub async fn jobs_die_and_are_replayed(bench: &Bench) -> Result<Account> {
    let setup = Setup::default().with("PULSE_DELIVERY_ATTEMPTS_MAX", "2");
    let mut world = World::start(bench, setup).await?;
    world.behave(&Behaviour::new(Mode::Fail))?;
    let dead = format!("/api/v1/tenants/{TENANT}/jobs");
    crate::wait::until(bench.scale.hold + RETRY_WITHIN, "jobs are given up", async || {
        let jobs = world.api.all(&dead).await.map_err(|error| format!("{error:#}"))?;
        if jobs.iter().any(|job| job["state"] == "DEAD") { Ok(()) } else { Err(format!("{} jobs, none dead", jobs.len())) }
    })
    .await?;
    world.behave(&Behaviour::default())?;
    world.steady().await?;
    // Those that failed once before the receiver was well have their second attempt behind them, so no more will die.
    world.settled().await?;
    let mut replayed = 0;
    for job in world.api.all(&dead).await?.iter().filter(|job| job["state"] == "DEAD") {
        let id = job["job_id"].as_str().unwrap_or_default();
        world.api.post(&format!("/api/v1/tenants/{TENANT}/jobs/{id}/replay"), &json!({})).await?;
        ensure!(job["last_error"] != Value::Null, "a dead job does not say why: {job}");
        replayed += 1;
    }
    ensure!(replayed > 0, "nothing was dead");
    let account = world.finish().await?;
    ensure!(account.jobs.dead == 0, "{} jobs are dead after the replay", account.jobs.dead);
    Ok(account)
}
