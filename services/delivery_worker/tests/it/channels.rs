//! What receivers get.

use pulse_domain::integration::Destination;
use pulse_domain::job::{ErrorKind, JobState};

use crate::receiver::Receiver;
use crate::world::{TRACE, World};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[tokio::test]
async fn a_webhook_is_signed_traced_and_carries_the_message() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let headers = [("X-Api-Key".to_owned(), "k-123456".to_owned())].into();
    let destination = Destination::Webhook { url: receiver.url().to_owned(), headers, signing_secret: Some(SECRET.to_owned()) };
    let target = world.target(destination).await;
    let job_id = world.job(&target).await;
    let worker = world.start(World::settings()).await;

    let job = world.until(job_id, |job| job.state == JobState::Delivered).await;
    let got = receiver.received().remove(0);
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&got.body, &got.headers).unwrap();
    assert_eq!(got.json(), job.payload.to_value());
    assert_eq!(got.json()["summary"], "temperature 93.1 > 90");
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!(got.header("x-api-key"), "k-123456");
    assert_eq!(got.header("user-agent"), concat!("Pulse/", env!("CARGO_PKG_VERSION")));
    assert_eq!(got.header("webhook-timestamp"), world.now().timestamp().to_string());
    let (trace, traceparent) = (TRACE.split('-').collect::<Vec<_>>(), got.header("traceparent").split('-').collect::<Vec<_>>());
    assert_eq!(traceparent[1], trace[1], "the trace of the reading");
    assert_ne!(traceparent[2], trace[2], "a span of its own");

    let attempts = world.attempts(job_id).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].attempt, attempts[0].error, attempts[0].http_status), (1, None, Some(200)));
    assert_eq!((job.attempts, job.finished_at, job.last_error), (1, Some(world.now()), None));
    worker.stop().await;
}

#[tokio::test]
async fn a_webhook_without_a_secret_is_sent_unsigned() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    world.job(&target).await;
    let worker = world.start(World::settings()).await;
    let got = receiver.got(1).await.remove(0);
    assert!(!got.headers.contains_key("webhook-signature") && got.headers.contains_key("webhook-id"));
    worker.stop().await;
}

#[tokio::test]
async fn chat_gets_slacks_format_and_its_address_stays_secret() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let url = format!("{}/services/T0/B0/s3cr3tpath", receiver.url());
    let target = world.target(Destination::Slack { url }).await;
    let job_id = world.job(&target).await;
    let worker = world.start(World::settings()).await;
    let got = receiver.got(1).await.remove(0);
    assert_eq!(got.json()["text"], ":rotating_light: Alert opened on pump-7: temperature 93.1 &gt; 90");
    assert_eq!(got.json()["blocks"][0]["type"], "header");
    world.until(job_id, |job| job.state == JobState::Delivered).await;

    receiver.answer(404, &[], "no_service at /hook/services/T0/B0/s3cr3tpath");
    let job_id = world.job(&target).await;
    let job = world.until(job_id, |job| job.state == JobState::Dead).await;
    assert_eq!(job.last_error.unwrap(), "the receiver answered 404 Not Found: no_service at [redacted]");
    worker.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_settings_kills_the_job_and_says_what_to_do() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let webhook = |url: &str, header: &str, secret: Option<&str>| Destination::Webhook {
        url: url.to_owned(),
        headers: [(header.to_owned(), "value".to_owned())].into(),
        signing_secret: secret.map(str::to_owned),
    };
    let mut cases = Vec::new();
    for (destination, detail) in [
        (webhook("not a url", "x-a", None), "URL cannot be read"),
        (webhook(receiver.url(), "Webhook-Id", None), "header webhook-id is set by Pulse itself"),
        (webhook(receiver.url(), "x-a", Some("whsec_short")), "signing secret must be whsec_ and base64 of 24 to 64 bytes"),
    ] {
        let target = world.target(destination).await;
        cases.push((world.job(&target).await, detail));
    }
    let mut disabled = world.webhook(receiver.url()).await;
    cases.push((world.job(&disabled).await, "the integration is disabled or was deleted"));
    disabled.integration.enabled = false;
    assert!(world.store.update_integration(&disabled.integration).await.unwrap());

    let worker = world.start(World::settings()).await;
    for (job_id, detail) in cases {
        let job = world.until(job_id, |job| job.state == JobState::Dead).await;
        let attempts = world.attempts(job_id).await;
        assert_eq!((attempts.len(), attempts[0].error), (1, Some(ErrorKind::Config)));
        assert!(job.last_error.as_ref().is_some_and(|error| error.contains(detail)), "{job:?}");
    }
    assert!(receiver.received().is_empty());
    worker.until_value("pulse_delivery_attempts_total", &[("channel", "webhook"), ("outcome", "config")], 3.0).await;
    worker.until_value("pulse_delivery_attempts_total", &[("channel", "none"), ("outcome", "config")], 1.0).await;
    worker.until_value("pulse_delivery_jobs_failed_total", &[("tenant_id", "acme")], 4.0).await;
    worker.stop().await;
}
