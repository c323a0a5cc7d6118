//! When a failed delivery is tried again, and when not.

use std::time::Duration;

use pulse_delivery_worker::Settings;
use pulse_domain::job::{ErrorKind, JobState};

use crate::receiver::Receiver;
use crate::world::World;

#[tokio::test]
async fn a_failing_receiver_is_tried_on_the_schedule_until_the_job_is_dead_and_can_be_replayed() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    let job_id = world.job(&target).await;
    receiver.answer(503, &[], "out of order");
    let worker = world.start(Settings { attempts_max: 3, ..World::settings() }).await;

    for (attempt, (least, most)) in [(1, (15, 30)), (2, (30, 60))] {
        let job = world.until(job_id, |job| job.state == JobState::Pending && job.attempts == attempt).await;
        let wait = (job.run_at - world.now()).num_milliseconds();
        assert!((least * 1000..=most * 1000).contains(&wait), "{attempt}: {wait} ms");
        assert_eq!(job.last_error.as_deref(), Some("the receiver answered 503 Service Unavailable: out of order"));
        assert_eq!(receiver.received().len(), usize::try_from(attempt).unwrap(), "not before its time");
        world.hand.set(job.run_at);
    }
    let job = world.until(job_id, |job| job.state == JobState::Dead).await;
    assert_eq!(job.attempts, 3);
    let attempts = world.attempts(job_id).await;
    assert!(attempts.iter().map(|attempt| (attempt.attempt, attempt.error)).eq([1, 2, 3].map(|n| (n, Some(ErrorKind::Server)))));
    worker.until_value("pulse_delivery_jobs_failed_total", &[("tenant_id", "acme")], 1.0).await;

    receiver.answer(200, &[], "ok");
    world.hand.advance(Duration::from_secs(3600));
    let (_, was_dead) = world.store.replay_job(&world.tenant, job_id, world.now()).await.unwrap().unwrap();
    assert!(was_dead);
    world.until(job_id, |job| job.state == JobState::Delivered).await;
    let got = receiver.received();
    assert_eq!(got.len(), 4);
    assert!(got.iter().all(|request| request.header("webhook-id") == got[0].header("webhook-id")), "one id, replays included");
    worker.until_value("pulse_delivery_attempts_total", &[("channel", "webhook"), ("outcome", "server")], 3.0).await;
    worker.stop().await;
}

#[tokio::test]
async fn two_jobs_never_share_an_id() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    world.jobs(&target, 2).await;
    let worker = world.start(World::settings()).await;
    let got = receiver.got(2).await;
    assert_ne!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    worker.stop().await;
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [301, 400, 401, 404, 410, 422] {
        let (world, receiver) = (World::new().await, Receiver::open().await);
        let target = world.webhook(receiver.url()).await;
        let job_id = world.job(&target).await;
        receiver.answer(status, &[("location", "http://127.0.0.1:1/")], "no");
        let worker = world.start(World::settings()).await;
        world.until(job_id, |job| job.state == JobState::Dead).await;
        let attempts = world.attempts(job_id).await;
        assert_eq!((attempts.len(), attempts[0].error, attempts[0].http_status), (1, Some(ErrorKind::Refused), Some(status)));
        worker.stop().await;
    }
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    for (status, retry_after, seconds) in [(429, "600", 600), (503, "120", 120), (429, "999999999", 7200)] {
        let (world, receiver) = (World::new().await, Receiver::open().await);
        let target = world.webhook(receiver.url()).await;
        let job_id = world.job(&target).await;
        receiver.answer(status, &[("retry-after", retry_after)], "");
        let worker = world.start(World::settings()).await;
        let job = world.until(job_id, |job| job.state == JobState::Pending && job.attempts == 1).await;
        assert_eq!((job.run_at - world.now()).num_seconds(), seconds, "{status} {retry_after}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn no_answer_and_no_connection_are_tried_again() {
    let (world, silent) = (World::new().await, Receiver::closed().await);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let targets = [(silent.url().to_owned(), ErrorKind::Timeout), (format!("http://{nobody}/"), ErrorKind::Connect)];
    let settings = Settings { timeout: Duration::from_millis(100), connect_timeout: Duration::from_millis(100), ..World::settings() };
    let worker = world.start(settings).await;
    for (url, kind) in targets {
        let target = world.webhook(&url).await;
        let job_id = world.job(&target).await;
        world.until(job_id, |job| job.state == JobState::Pending && job.attempts == 1).await;
        let attempts = world.attempts(job_id).await;
        assert_eq!((attempts.len(), attempts[0].error), (1, Some(kind)));
        worker.until_value("pulse_delivery_attempts_total", &[("channel", "webhook"), ("outcome", kind.as_str())], 1.0).await;
    }
    worker.until_value("pulse_processing_total", &[("operation", "delivery_attempt"), ("outcome", "error")], 2.0).await;
    worker.stop().await;
}
