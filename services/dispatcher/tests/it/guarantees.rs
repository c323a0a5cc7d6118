//! Nothing is lost however old or many, and nothing is told twice.

use std::collections::HashSet;
use std::time::Duration;

use pulse_dispatcher::Settings;
use pulse_domain::job::Job;
use pulse_store::Claim;

use crate::fixture::{Running, World, eventually, quick};

const LEASE: Duration = Duration::from_secs(30);

fn assert_each_once(jobs: &[Job], expected: usize) {
    let keys: HashSet<_> = jobs.iter().map(|job| (job.event_id, job.route_id)).collect();
    assert_eq!((keys.len(), jobs.len()), (expected, expected), "distinct, in all");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_hours_old_and_beyond_one_batch_are_all_dispatched() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    world.route(&tenant, webhook, |_| {}).await;
    world.open_many(&tenant, 1_200).await;
    world.hand.advance(Duration::from_secs(2 * 60 * 60));
    world.open(vec![world.alert(&tenant, "fresh")]).await;

    let dispatcher = world.dispatcher().await;
    world.drained().await;
    assert_each_once(&world.jobs(&tenant).await, 1_201);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dispatchers_make_each_job_once() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    world.route(&tenant, webhook, |_| {}).await;
    world.route(&tenant, webhook, |_| {}).await;
    let settings = Settings { batch: 50, ..quick() };
    let (one, two) = (world.dispatcher_with(settings.clone()).await, world.dispatcher_with(settings).await);
    world.open_many(&tenant, 2_000).await;
    world.drained().await;
    assert_each_once(&world.jobs(&tenant).await, 4_000);
    let made = |running: &Running| running.value("pulse_dispatcher_jobs_created_total", &[]);
    eventually("both counted what they made", async || made(&one) + made(&two) == 4_000.0).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_claim_and_commit_only_delays() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    world.route(&tenant, webhook, |_| {}).await;
    world.open_many(&tenant, 10).await;
    let claim = Claim { now: world.clock.now(), limit: 100, lease: LEASE };
    let crashed = world.store.claim_events(claim).await.unwrap();
    assert_eq!(crashed.events.len(), 10);

    let dispatcher = world.dispatcher().await;
    let before = dispatcher.steps("success");
    eventually("it looked twice while the lease held", async || dispatcher.steps("success") >= before + 2.0).await;
    assert_eq!((world.jobs(&tenant).await.len(), world.depth().await), (0, 10));

    world.hand.advance(LEASE + Duration::from_secs(1));
    world.drained().await;
    assert_each_once(&world.jobs(&tenant).await, 10);

    let events: Vec<_> = crashed.events.iter().map(|event| (tenant.clone(), event.event_id)).collect();
    let late = world.store.commit_dispatch(crashed.lease, &events, &[], world.clock.now()).await.unwrap();
    assert_eq!(late.dispatched.len(), 0, "it came back from the dead too late");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_opened_while_it_sleeps_wakes_it() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    world.route(&tenant, webhook, |_| {}).await;
    let dispatcher = world.dispatcher_with(Settings { poll: Duration::from_secs(3_600), ..quick() }).await;
    world.open_many(&tenant, 1).await;
    world.drained().await;
    assert_each_once(&world.jobs(&tenant).await, 1);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_ten_thousand_is_drained_without_waiting_between_full_batches() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    world.route(&tenant, webhook, |_| {}).await;
    world.open_many(&tenant, 10_000).await;
    let dispatcher = world.dispatcher_with(Settings { poll: Duration::from_secs(3_600), ..quick() }).await;
    world.drained().await;
    assert_each_once(&world.jobs(&tenant).await, 10_000);
    dispatcher.stop().await;
}
