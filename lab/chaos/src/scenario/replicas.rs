//! Two and more of each service share the work, with no coordinator.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use pulse_simulator::sink::behaviour::{Behaviour, Mode};
use serde::Serialize;

use crate::account::Account;
use crate::queue::Queue;
use crate::registry::TENANT;
use crate::service::Service;
use crate::wait::until;
use crate::world::{Bench, Setup, World};

/// Claims so small that a short load is many of them.
const SMALL_CLAIMS: [(&str, &str); 3] =
    [("PULSE_EVALUATOR_BATCH_SIZE", "8"), ("PULSE_EVALUATOR_READINGS_MAX", "8"), ("PULSE_DELIVERY_BATCH", "16")];
/// How much load piles up before it is worked off, in units of [`crate::scale::Scale::steady`].
const PILE: u64 = 6;

/// Each reading holds two metrics, and each metric has one rule.
const RULES: f64 = 2.0;

/// So many of each service.
pub fn of_each(number: usize) -> BTreeMap<Service, usize> {
    Service::ALL.into_iter().map(|service| (service, number)).collect()
}

/// How a pile of work was shared.
#[derive(Debug, Clone, Serialize)]
pub struct Shared {
    pub replicas: usize,
    /// Readings that waited, and how long evaluating them took.
    pub readings: u64,
    pub evaluated_in_s: f64,
    /// What each evaluator did, in rules checked against readings.
    pub evaluated: Vec<f64>,
    /// Jobs that waited, and how long delivering them took.
    pub jobs: usize,
    pub delivered_in_s: f64,
    /// What each worker delivered.
    pub delivered: Vec<f64>,
}

/// The same pile of readings and then of jobs is worked off by so many evaluators and delivery workers.
///
/// A user sees: more of them work it off sooner, where there are processors for them. What must hold: each did a part; the account.
pub async fn share(bench: &Bench, replicas: usize) -> Result<Account> {
    let (mut world, readings) = pile(bench, replicas).await?;
    let judgements = f64::from(u32::try_from(readings)?) * RULES;
    let evaluated_in_s = work_off(&mut world, Service::Evaluator, async |world| {
        let evaluated: f64 = evaluated(world).await.map_err(|error| format!("{error:#}"))?.iter().sum();
        if evaluated >= judgements { Ok(()) } else { Err(format!("{evaluated} of {judgements} judgements")) }
    })
    .await?;
    let evaluated = evaluated(&world).await?;
    let jobs = dispatched(&mut world).await?;
    let taken = world.sink.stats().delivered;
    let delivered_in_s = work_off(&mut world, Service::DeliveryWorker, async |world| {
        let delivered = world.sink.stats().delivered - taken;
        if delivered >= jobs as u64 { Ok(()) } else { Err(format!("{delivered} of {jobs} messages")) }
    })
    .await?;
    let labels = ["operation=\"delivery_attempt\"", "outcome=\"success\""];
    let delivered = done(&world, Service::DeliveryWorker, "pulse_processing_total", &labels).await?;
    let shared = Shared { replicas, readings, evaluated_in_s, evaluated, jobs, delivered_in_s, delivered };
    ensure!(shared.evaluated.iter().chain(&shared.delivered).all(|part| *part > 0.0), "the work was not shared: {shared:?}");
    world.note("shared", serde_json::to_value(shared)?);
    world.finish().await
}

/// A world whose evaluators and delivery workers were stopped while readings came in, and how many wait.
async fn pile(bench: &Bench, replicas: usize) -> Result<(World, u64)> {
    let replicas = BTreeMap::from([(Service::Evaluator, replicas), (Service::DeliveryWorker, replicas)]);
    let setup = Setup { replicas, ..Setup::default() };
    let setup = SMALL_CLAIMS.iter().fold(setup, |setup, (name, value)| setup.with(name, value));
    let mut world = World::start(bench, setup).await?;
    for service in [Service::Evaluator, Service::DeliveryWorker] {
        for instance in world.system.of(service) {
            instance.terminate().await?;
        }
    }
    let (before, settle) = (world.acknowledged(), world.scale.settle);
    world
        .wait(settle, "readings pile up", async |world| {
            let piled = world.acknowledged() - before;
            if piled >= world.scale.steady * PILE { Ok(()) } else { Err(format!("{piled} readings")) }
        })
        .await?;
    world.quiet().await?;
    let readings = world.acknowledged() - before;
    Ok((world, readings))
}

/// Waits until every event has its jobs; how many wait to be delivered.
async fn dispatched(world: &mut World) -> Result<usize> {
    let look = async |world: &World| {
        let account = world.account().await.map_err(|error| format!("{error:#}"))?;
        let is_dispatched = account.alerts.missing == 0 && account.jobs.missing == 0;
        if is_dispatched { Ok(account.jobs.pending) } else { Err(account.to_string()) }
    };
    world.wait(world.scale.settle, "every event has its jobs", look).await
}

/// Starts a service's processes; how long they take from then on until it is done. The start is part of it, as each has one.
async fn work_off(world: &mut World, service: Service, look: impl AsyncFnMut(&World) -> Result<(), String>) -> Result<f64> {
    let database = world.system.database.clone();
    let started = Instant::now();
    for instance in world.system.of(service) {
        instance.start(&database)?;
    }
    let settle = world.scale.settle;
    world.wait(settle, "the work is done", look).await?;
    Ok(started.elapsed().as_secs_f64())
}

/// What each evaluator did, in rules checked against readings.
async fn evaluated(world: &World) -> Result<Vec<f64>> {
    done(world, Service::Evaluator, "pulse_evaluator_rules_evaluated_total", &[]).await
}

async fn done(world: &World, service: Service, name: &str, labels: &[&str]) -> Result<Vec<f64>> {
    let scrapes = world.system.scrape(service).await?;
    Ok(scrapes.iter().map(|scrape| scrape.sum(name, labels).unwrap_or_default()).collect())
}

/// One of two evaluators, dispatchers and delivery workers dies with work in hand and does not come back.
///
/// A user sees: what it had in hand comes late by its lease. What must hold: the other one takes it over; the account.
pub async fn one_of_two_dies(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup { replicas: of_each(2), ..Setup::default() }).await?;
    // The worker that is killed holds leases.
    hang(&mut world).await?;
    let database = world.system.database.clone();
    for service in [Service::Evaluator, Service::Dispatcher, Service::DeliveryWorker] {
        world.system.of(service).next().with_context(|| format!("there is no {service}"))?.kill()?;
    }
    world.behave(&Behaviour::default())?;
    world.steady().await?;
    world.settled().await?;
    // For the account every process is asked; those that died start again only now that nothing is left for them.
    for instance in world.system.instances.iter_mut().filter(|instance| instance.pid().is_none()) {
        instance.start(&database)?;
    }
    world.system.ready().await?;
    world.finish().await
}

/// The receiver hangs from now on, and has been met.
async fn hang(world: &mut World) -> Result<()> {
    world.behave(&Behaviour::new(Mode::Hang))?;
    until(world.scale.settle, "the receiver is met", async || {
        let met = world.sink.stats().misbehaved;
        if met > 0 { Ok(()) } else { Err("no message yet".to_owned()) }
    })
    .await
}

/// Jobs wait that nobody can deliver: each of the workers counts all of them, not its own.
///
/// A user sees: one depth, whichever replica is asked, so boards take the maximum and never the sum. What must hold: each replica shows what
/// the API lists.
pub async fn count_one_depth(bench: &Bench) -> Result<Account> {
    // Longer than the look takes, so that no attempt ends meanwhile.
    let setup = Setup { replicas: of_each(2), ..Setup::default() }.with("PULSE_DELIVERY_TIMEOUT", "5s").with("PULSE_DELIVERY_LEASE", "8s");
    let mut world = World::start(bench, setup).await?;
    hang(&mut world).await?;
    world.quiet().await?;
    until(bench.scale.settle, "both workers count what the API lists", async || {
        let jobs = world.api.all(&format!("/api/v1/tenants/{TENANT}/jobs")).await.map_err(|error| format!("{error:#}"))?;
        let waiting = jobs.iter().filter(|job| job["state"] != "DELIVERED").count();
        let depths = Queue::Jobs.depths(&world.system).await.map_err(|error| format!("{error:#}"))?;
        let wanted = f64::from(u32::try_from(waiting).map_err(|error| error.to_string())?);
        let is_one = depths.len() == 2 && depths.iter().all(|depth| *depth == Some(wanted));
        if is_one && waiting > 0 { Ok(()) } else { Err(format!("{waiting} jobs wait, counted as {depths:?}")) }
    })
    .await?;
    world.behave(&Behaviour::default())?;
    world.finish().await
}
