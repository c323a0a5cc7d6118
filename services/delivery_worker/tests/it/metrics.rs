//! What is measured.

use pulse_domain::integration::Destination;
use pulse_domain::job::JobState;

use crate::receiver::Receiver;
use crate::world::World;

#[tokio::test]
async fn every_series_is_there_with_0_before_anything_happens() {
    let world = World::new().await;
    let worker = world.start(World::settings()).await;
    let answer = get(&format!("http://{}/metrics", worker.address)).await;
    for line in [
        r#"pulse_queue_depth{queue_name="pending_jobs",service="delivery_worker"} 0"#,
        r#"pulse_queue_depth{queue_name="pending_notification_jobs",service="delivery_worker"} 0"#,
        r#"pulse_processing_duration_seconds_count{operation="delivery_attempt",service="delivery_worker"} 0"#,
        r#"pulse_processing_total{operation="delivery_attempt",outcome="success",service="delivery_worker"} 0"#,
        r#"pulse_delivery_jobs_failed_total{tenant_id="acme"} 0"#,
        r#"pulse_delivery_attempts_total{channel="webhook",outcome="success"} 0"#,
        r#"pulse_delivery_attempts_total{channel="slack",outcome="tls"} 0"#,
        r#"pulse_delivery_attempts_total{channel="none",outcome="config"} 0"#,
        r#"pulse_delivery_in_flight{queue_name="pending_jobs"} 0"#,
        r#"pulse_delivery_concurrency{queue_name="pending_notification_jobs"} 32"#,
        r#"pulse_delivery_leases_lost_total 0"#,
        r#"pulse_alert_latency_seconds_count{channel="slack"} 0"#,
    ] {
        assert!(answer.lines().any(|found| found == line), "{line} is not in\n{answer}");
    }
    for definition in pulse_delivery_worker::metrics::DEFINITIONS {
        assert!(answer.contains(&format!("# HELP {} ", definition.name)), "{} is not on /metrics", definition.name);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_delivery_is_timed_counted_and_measured_from_the_reading_on() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let webhook = world.webhook(receiver.url()).await;
    let chat = world.target(Destination::Slack { url: receiver.url().to_owned() }).await;
    let jobs = [world.job(&webhook).await, world.job(&chat).await];
    let worker = world.start(World::settings()).await;
    for job_id in jobs {
        world.until(job_id, |job| job.state == JobState::Delivered).await;
    }
    for channel in ["webhook", "slack"] {
        assert_eq!(worker.value("pulse_delivery_attempts_total", &[("channel", channel), ("outcome", "success")]), Some(1.0));
        assert_eq!(worker.value("pulse_alert_latency_seconds_count", &[("channel", channel)]), Some(1.0));
        // The clock stands still: 2 s is the reading's age when the job was made.
        assert_eq!(worker.value("pulse_alert_latency_seconds_sum", &[("channel", channel)]), Some(2.0));
    }
    assert_eq!(worker.value("pulse_processing_duration_seconds_count", &[("operation", "delivery_attempt")]), Some(2.0));
    assert_eq!(worker.value("pulse_processing_total", &[("operation", "delivery_attempt"), ("outcome", "success")]), Some(2.0));
    worker.stop().await;
}

#[tokio::test]
async fn a_queue_shows_its_true_depth_while_its_worker_is_stuck() {
    let (world, receiver) = (World::new().await, Receiver::closed().await);
    let target = world.webhook(receiver.url()).await;
    let worker = world.start(World::settings()).await;
    world.jobs(&target, 300).await;
    receiver.got(16).await;
    worker.until_value("pulse_queue_depth", &[("queue_name", "pending_jobs")], 300.0).await;
    world.jobs(&target, 50).await;
    worker.until_value("pulse_queue_depth", &[("queue_name", "pending_jobs")], 350.0).await;
    receiver.let_pass(350);
    worker.until_value("pulse_queue_depth", &[("queue_name", "pending_jobs")], 0.0).await;
    worker.stop().await;
}

#[tokio::test]
async fn the_worker_is_ready_and_says_which_loops_move() {
    let world = World::new().await;
    let worker = world.start(World::settings()).await;
    let answer = get(&format!("http://{}/ready", worker.address)).await;
    for part in ["pending_jobs", "pending_notification_jobs", "database", "\"ready\""] {
        assert!(answer.contains(part), "{part} is not in {answer}");
    }
    worker.stop().await;
}

async fn get(url: &str) -> String {
    reqwest::Client::builder()
        .tls_backend_preconfigured(no_tls())
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

/// The build has no default provider of TLS, and none is needed here.
fn no_tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}
