//! Where deliveries never go.

use pulse_delivery_worker::Settings;
use pulse_domain::job::{ErrorKind, JobState};

use crate::receiver::Receiver;
use crate::world::World;

#[tokio::test]
async fn by_default_nothing_local_is_reached_whatever_it_is_called() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let port = receiver.url().rsplit(':').next().unwrap().to_owned();
    let mut jobs = Vec::new();
    for host in ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost"] {
        let target = world.webhook(&format!("http://{host}:{port}")).await;
        jobs.push((host, world.job(&target).await));
    }
    let worker = world.start(Settings { allowed_ranges: Vec::new(), ..World::settings() }).await;
    for (host, job_id) in jobs {
        let job = world.until(job_id, |job| job.state == JobState::Dead).await;
        assert_eq!(world.attempts(job_id).await[0].error, Some(ErrorKind::Blocked), "{host}");
        assert!(job.last_error.is_some_and(|error| error.contains("PULSE_DELIVERY_ALLOWED_RANGES")), "{host}");
    }
    assert!(receiver.received().is_empty());
    worker.until_value("pulse_delivery_attempts_total", &[("channel", "webhook"), ("outcome", "blocked")], 7.0).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_name_is_reached_by_an_address_that_is_allowed() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(&receiver.url().replace("127.0.0.1", "localhost")).await;
    let job_id = world.job(&target).await;
    let worker = world.start(World::settings()).await;
    world.until(job_id, |job| job.state == JobState::Delivered).await;
    worker.stop().await;
}

#[tokio::test]
async fn plain_http_has_to_be_allowed() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    let job_id = world.job(&target).await;
    let worker = world.start(Settings { allow_http: false, ..World::settings() }).await;
    let job = world.until(job_id, |job| job.state == JobState::Dead).await;
    assert!(job.last_error.is_some_and(|error| error.contains("https://")));
    assert!(receiver.received().is_empty());
    worker.stop().await;
}
