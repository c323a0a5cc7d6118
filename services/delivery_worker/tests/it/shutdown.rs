//! Stopping.

use std::time::Duration;

use pulse_delivery_worker::Settings;
use pulse_domain::job::JobState;
use pulse_runtime::Error;

use crate::receiver::Receiver;
use crate::world::{PATIENCE, World};

#[tokio::test]
async fn deliveries_under_way_finish_and_waiting_ones_are_given_back() {
    let (world, receiver) = (World::new().await, Receiver::closed().await);
    let target = world.webhook(receiver.url()).await;
    let jobs = world.jobs(&target, 10).await;
    let worker = world.start(Settings { per_destination: 2, ..World::settings() }).await;
    receiver.got(2).await;
    worker.shutdown.trigger();
    let waiting = async {
        loop {
            let mut pending = 0;
            for job_id in &jobs {
                let job = world.stored(*job_id).await;
                pending += usize::from(job.state == JobState::Pending && job.attempts == 0);
            }
            if pending == 8 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("what was not begun is given back at once, not counted as an attempt");
    receiver.let_pass(100);
    worker.stop().await;

    let mut delivered = 0;
    for job_id in jobs {
        delivered += usize::from(world.stored(job_id).await.state == JobState::Delivered);
    }
    assert_eq!((delivered, receiver.received().len()), (2, 2), "what was under way was recorded, nothing new was begun");
}

#[tokio::test]
async fn the_drain_has_an_end() {
    let (world, receiver) = (World::new().await, Receiver::closed().await);
    let target = world.webhook(receiver.url()).await;
    let job_id = world.job(&target).await;
    let worker = world.start(Settings { drain: Duration::from_millis(50), ..World::settings() }).await;
    receiver.got(1).await;
    let telemetry = worker.telemetry.clone();
    worker.stop().await;
    assert_eq!(world.stored(job_id).await.state, JobState::Leased, "its lease brings it back");
    let cancelled = telemetry.value("pulse_processing_total", &[("operation", "delivery_attempt"), ("outcome", "cancelled")]);
    assert_eq!(cancelled, Some(1.0));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let world = World::new().await;
    let worker = world.start(Settings { lease: Duration::from_secs(10), ..World::settings() }).await;
    let error = worker.task.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Settings(text) if text.contains("PULSE_DELIVERY_LEASE")), "{error}");
}

#[tokio::test]
async fn a_store_that_is_gone_is_counted_and_does_not_end_the_worker() {
    let world = World::new().await;
    let worker = world.start(World::settings()).await;
    worker.until_value("pulse_queue_depth", &[("queue_name", "pending_jobs")], 0.0).await;
    world.store.close().await;
    let errors = [("operation", "claim_jobs"), ("outcome", "error")];
    worker.until_series("pulse_processing_total", &errors, |value| value.is_some_and(|errors| errors >= 4.0)).await;
    assert!(!worker.task.is_finished());
    worker.stop().await;
}

#[tokio::test]
async fn an_attempt_that_cannot_be_recorded_holds_up_the_end_only_for_so_long() {
    let (world, receiver) = (World::new().await, Receiver::closed().await);
    let target = world.webhook(receiver.url()).await;
    world.job(&target).await;
    let worker = world.start(Settings { drain: Duration::from_millis(50), ..World::settings() }).await;
    receiver.got(1).await;
    world.store.close().await;
    receiver.let_pass(1);
    let errors = [("operation", "record_attempts"), ("outcome", "error")];
    worker.until_series("pulse_processing_total", &errors, |value| value.is_some_and(|errors| errors >= 2.0)).await;
    worker.shutdown.trigger();
    let ended = tokio::time::timeout(PATIENCE, worker.task).await.unwrap().unwrap();
    assert!(ended.unwrap_err().to_string().contains("cut"), "it says that this was no good end");
}
