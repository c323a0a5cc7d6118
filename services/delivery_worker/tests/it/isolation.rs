//! Nobody waits for somebody else's receiver.

use pulse_delivery_worker::Settings;
use pulse_domain::integration::Destination;
use pulse_domain::job::JobState;

use crate::receiver::Receiver;
use crate::world::World;

#[tokio::test]
async fn a_receiver_that_hangs_takes_its_share_of_places_and_no_more() {
    let (world, hanging, healthy) = (World::new().await, Receiver::closed().await, Receiver::open().await);
    let (slow, quick) = (world.webhook(hanging.url()).await, world.webhook(healthy.url()).await);
    world.jobs(&slow, 200).await;
    let last = world.jobs(&quick, 100).await[99];
    let worker = world.start(Settings { concurrency: 8, per_destination: 4, ..World::settings() }).await;

    world.until(last, |job| job.state == JobState::Delivered).await;
    assert_eq!(healthy.got(100).await.len(), 100);
    assert_eq!((hanging.got(4).await.len(), hanging.under_way_max()), (4, 4));
    assert!(healthy.under_way_max() <= 4);
    assert_eq!(worker.value("pulse_delivery_in_flight", &[("queue_name", "pending_jobs")]), Some(4.0));

    hanging.let_pass(200);
    hanging.got(200).await;
    worker.until_value("pulse_delivery_in_flight", &[("queue_name", "pending_jobs")], 0.0).await;
    assert_eq!(hanging.under_way_max(), 4);
    worker.stop().await;
}

#[tokio::test]
async fn slow_chat_never_starves_webhooks() {
    let (world, hanging, healthy) = (World::new().await, Receiver::closed().await, Receiver::open().await);
    for _ in 0..3 {
        let chat = world.target(Destination::Slack { url: hanging.url().to_owned() }).await;
        world.jobs(&chat, 20).await;
    }
    let settings = Settings { concurrency: 2, notification_concurrency: 2, per_destination: 1, ..World::settings() };
    let worker = world.start(settings).await;
    hanging.got(2).await;
    let webhook = world.webhook(healthy.url()).await;
    for job_id in world.jobs(&webhook, 20).await {
        world.until(job_id, |job| job.state == JobState::Delivered).await;
    }
    assert_eq!(hanging.under_way_max(), 2);
    worker.until_value("pulse_queue_depth", &[("queue_name", "pending_notification_jobs")], 60.0).await;
    worker.until_value("pulse_queue_depth", &[("queue_name", "pending_jobs")], 0.0).await;
    worker.shutdown.trigger();
}

#[tokio::test]
async fn new_jobs_wake_the_queue_long_before_the_next_poll() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    let worker = world.start(Settings { poll: std::time::Duration::from_secs(3600), ..World::settings() }).await;
    for _ in 0..3 {
        let job_id = world.job(&target).await;
        world.until(job_id, |job| job.state == JobState::Delivered).await;
    }
    worker.stop().await;
}
