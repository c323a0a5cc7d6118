//! What happens to jobs whose worker dies, or is too slow for its lease.

use std::time::Duration;

use pulse_delivery_worker::Settings;
use pulse_domain::job::JobState;

use crate::receiver::Receiver;
use crate::world::World;

const PAST_THE_LEASE: Duration = Duration::from_secs(61);

#[tokio::test]
async fn a_job_whose_worker_was_killed_is_delivered_by_the_next_with_the_same_id() {
    let (world, receiver) = (World::new().await, Receiver::closed().await);
    let target = world.webhook(receiver.url()).await;
    let job_id = world.job(&target).await;
    let killed = world.start(World::settings()).await;
    receiver.got(1).await;
    killed.kill().await;
    assert_eq!(world.stored(job_id).await.state, JobState::Leased);

    receiver.let_pass(100);
    let next = world.start(World::settings()).await;
    assert_eq!(world.expire_leases().await, 0, "not before the lease has passed");
    world.hand.advance(PAST_THE_LEASE);
    assert_eq!(world.expire_leases().await, 1);
    let job = world.until(job_id, |job| job.state == JobState::Delivered).await;
    let got = receiver.received();
    assert_eq!((job.attempts, got.len()), (2, 2));
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    next.stop().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_cannot_finish_the_job() {
    let (world, receiver) = (World::new().await, Receiver::closed().await);
    let target = world.webhook(receiver.url()).await;
    let job_id = world.job(&target).await;
    let worker = world.start(World::settings()).await;
    receiver.got(1).await;
    world.hand.advance(PAST_THE_LEASE);
    assert_eq!(world.expire_leases().await, 1);
    // The same worker claims it again, as any would, and now makes two attempts at once, each under its own lease.
    receiver.got(2).await;
    receiver.answer(400, &[], "");
    receiver.let_pass(1);
    worker.until_value("pulse_delivery_leases_lost_total", &[], 1.0).await;
    assert_eq!(world.stored(job_id).await.state, JobState::Leased, "the stale attempt changed nothing");
    receiver.answer(200, &[], "");
    receiver.let_pass(1);
    world.until(job_id, |job| job.state == JobState::Delivered).await;
    assert_eq!(worker.value("pulse_delivery_jobs_failed_total", &[("tenant_id", "acme")]), Some(0.0));
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_waited_until_its_lease_passed_is_given_back_and_not_begun_under_it() {
    let (world, receiver) = (World::new().await, Receiver::closed().await);
    let target = world.webhook(receiver.url()).await;
    let [begun, waits] = world.jobs(&target, 2).await[..] else { panic!("two jobs") };
    let worker = world.start(Settings { per_destination: 1, ..World::settings() }).await;
    receiver.got(1).await;
    world.until(waits, |job| job.state == JobState::Leased).await;
    world.hand.advance(PAST_THE_LEASE);
    receiver.let_pass(100);
    let job = world.until(waits, |job| job.state == JobState::Delivered).await;
    assert_eq!((job.attempts, world.attempts(waits).await.len()), (1, 1), "waiting is no attempt");
    assert_eq!(worker.value("pulse_delivery_leases_lost_total", &[]), Some(1.0), "only the one that was under way");
    assert_eq!(world.stored(begun).await.state, JobState::Leased);
    worker.stop().await;
}
