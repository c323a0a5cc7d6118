//! The spans of delivery: each attempt in the job's trace, each request below its attempt and told to the receiver.

use std::time::Duration;

use pulse_delivery_worker::Settings;
use pulse_domain::integration::Destination;
use pulse_domain::job::JobState;
use pulse_telemetry::opentelemetry::trace::SpanKind;
use pulse_telemetry::testing::KeptSpan;

use crate::receiver::Receiver;
use crate::world::{TRACE, World};

const RECEIVE: &str = "receive pending_jobs";
const PROCESS: &str = "process pending_jobs";

/// Whether `later` names `earlier` as the attempt before it.
fn follows(later: &KeptSpan, earlier: &KeptSpan) -> bool {
    later.link_to(&earlier.traceparent).is_some_and(|link| link.attributes["pulse.link"] == "previous_attempt")
}

#[tokio::test]
async fn an_attempt_is_in_the_jobs_trace_and_the_receiver_is_told_its_request() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    let job_id = world.job(&target).await;
    let worker = world.traced(World::settings()).await;
    let job = world.until(job_id, |job| job.state == JobState::Delivered).await;
    let process = worker.spans(PROCESS, 1).await.remove(0);
    assert!(process.is_child_of(TRACE) && process.kind == SpanKind::Consumer && process.error.is_none(), "{process:?}");
    assert_eq!(job.attempt_trace.unwrap().as_str(), process.traceparent);
    let (job_id, integration_id) = (job_id.to_string(), target.integration.integration_id.to_string());
    for (name, value) in [
        ("messaging.system", "pulse"),
        ("messaging.operation.name", "process"),
        ("messaging.destination.name", "pending_jobs"),
        ("messaging.message.id", job_id.as_str()),
        ("pulse.tenant.id", "acme"),
        ("pulse.integration.id", integration_id.as_str()),
        ("pulse.delivery.channel", "webhook"),
        ("pulse.delivery.attempt", "1"),
        ("pulse.delivery.outcome", "delivered"),
    ] {
        assert_eq!(process.attribute(name), Some(value), "{name}");
    }
    let request = worker.spans("POST", 1).await.remove(0);
    assert!(request.is_child_of(&process.traceparent) && request.kind == SpanKind::Client, "{request:?}");
    assert_eq!(receiver.received()[0].header("traceparent"), request.traceparent);
    let port = receiver.url().split([':', '/']).find(|part| part.parse::<u16>().is_ok()).unwrap().to_owned();
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("server.address", "127.0.0.1"),
        ("server.port", port.as_str()),
        ("url.scheme", "http"),
    ] {
        assert_eq!(request.attribute(name), Some(value), "{name}");
    }
    assert_eq!(request.attributes.len(), 5, "no more is said of an address: {request:?}");
    worker.stop().await;
}

#[tokio::test]
async fn claims_and_records_are_traces_of_their_own_that_name_the_jobs() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    let jobs = world.jobs(&target, 3).await;
    let worker = world.traced(World::settings()).await;
    for job_id in jobs {
        world.until(job_id, |job| job.state == JobState::Delivered).await;
    }
    let receive = worker.spans(RECEIVE, 1).await.remove(0);
    assert_eq!((&receive.parent_id, &receive.kind, receive.links.len()), (&None, &SpanKind::Client, 1), "all jobs have one cause");
    assert!(receive.link_to(TRACE).is_some() && receive.attribute("messaging.batch.message_count") == Some("3"), "{receive:?}");
    let attempts = worker.spans(PROCESS, 3).await;
    assert!(attempts.iter().all(|attempt| attempt.link_to(&receive.traceparent).unwrap().attributes["pulse.link"] == "batch"));
    let claim = worker.spans("claim_jobs", 1).await.remove(0);
    assert!(claim.is_child_of(&receive.traceparent) && claim.attribute("db.system.name") == Some("sqlite"), "{claim:?}");
    let recorded = || worker.telemetry.spans().into_iter().filter(|span| span.name == "record_attempts").collect::<Vec<_>>();
    let all_named = || attempts.iter().all(|attempt| recorded().iter().any(|span| span.link_to(&attempt.traceparent).is_some()));
    tokio::time::timeout(crate::world::PATIENCE, async {
        while !all_named() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let (roots, calls): (Vec<_>, Vec<_>) = recorded().into_iter().partition(|span| span.parent_id.is_none());
    assert!(roots.iter().all(|root| calls.iter().any(|call| call.is_child_of(&root.traceparent) && call.kind == SpanKind::Client)));
    worker.stop().await;
}

#[tokio::test]
async fn a_retry_and_a_replay_name_the_attempt_before_them() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let target = world.webhook(receiver.url()).await;
    let job_id = world.job(&target).await;
    receiver.answer(503, &[], "out of order");
    let worker = world.traced(Settings { attempts_max: 2, ..World::settings() }).await;
    let job = world.until(job_id, |job| job.state == JobState::Pending && job.attempts == 1).await;
    world.hand.set(job.run_at);
    world.until(job_id, |job| job.state == JobState::Dead).await;
    receiver.answer(200, &[], "ok");
    world.hand.advance(Duration::from_secs(3600));
    world.store.replay_job(&world.tenant, job_id, world.now()).await.unwrap();
    world.until(job_id, |job| job.state == JobState::Delivered).await;

    let attempts = worker.spans(PROCESS, 3).await;
    let outcomes = attempts.iter().map(|attempt| (attempt.attribute("pulse.delivery.outcome"), attempt.attribute("error.type")));
    assert!(outcomes.eq([(Some("retry"), Some("server")), (Some("dead"), Some("server")), (Some("delivered"), None)]), "{attempts:#?}");
    assert!(attempts.iter().all(|attempt| attempt.is_child_of(TRACE)), "one trace");
    assert!(follows(&attempts[1], &attempts[0]) && follows(&attempts[2], &attempts[1]) && attempts[0].links.len() == 1, "{attempts:#?}");
    assert_eq!(attempts[0].error.as_deref(), Some("the receiver answered 503 Service Unavailable: out of order"));
    let requests = worker.spans("POST", 3).await;
    let said = |name| requests.iter().map(|request| request.attribute(name)).collect::<Vec<_>>();
    assert_eq!(said("http.request.resend_count"), [None, Some("1"), None]);
    assert_eq!(said("http.response.status_code"), [Some("503"), Some("503"), Some("200")]);
    assert_eq!(said("error.type"), [Some("server"), Some("server"), None]);
    let told: Vec<_> = receiver.received().iter().map(|request| request.header("traceparent").to_owned()).collect();
    assert_eq!(told, requests.iter().map(|request| request.traceparent.clone()).collect::<Vec<_>>());
    worker.stop().await;
}

#[tokio::test]
async fn what_was_never_sent_is_no_request() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let worker = world.traced(World::settings()).await;
    for (url, kind) in
        [("not a url".to_owned(), "config"), ("http://10.1.2.3/".to_owned(), "blocked"), (format!("http://{nobody}/"), "connect")]
    {
        let target = world.webhook(&url).await;
        let job_id = world.job(&target).await;
        world.until(job_id, |job| job.attempt_trace.is_some()).await;
        let attempt = worker.spans(PROCESS, 1).await.pop().unwrap();
        assert_eq!(attempt.attribute("error.type"), Some(kind), "{attempt:?}");
    }
    let request = worker.spans("POST", 1).await.remove(0);
    assert_eq!((worker.spans("POST", 1).await.len(), request.attribute("error.type")), (1, Some("connect")), "only one went out");
    assert!(request.attribute("http.response.status_code").is_none() && request.error.unwrap().starts_with("no connection"));
    assert!(receiver.received().is_empty());
    worker.stop().await;
}

#[tokio::test]
async fn no_secret_is_in_a_span() {
    let (world, receiver) = (World::new().await, Receiver::open().await);
    let url = format!("{}/services/T0/s3cr3tpath?key=s3cr3tkey", receiver.url());
    let headers = [("x-api-key".to_owned(), "s3cr3theader".to_owned())].into();
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let webhook = Destination::Webhook { url: url.clone(), headers, signing_secret: Some(secret.to_owned()) };
    let worker = world.traced(World::settings()).await;
    for (destination, answer) in
        [(webhook, "no s3cr3theader"), (Destination::Slack { url }, "no /hook/services/T0/s3cr3tpath?key=s3cr3tkey")]
    {
        // What a receiver says is part of an attempt's error.
        receiver.answer(404, &[], answer);
        let target = world.target(destination).await;
        let job_id = world.job(&target).await;
        world.until(job_id, |job| job.state == JobState::Dead).await;
    }
    worker.spans("POST", 2).await;
    let (webhooks, chat) = (worker.spans(PROCESS, 1).await, worker.spans("process pending_notification_jobs", 1).await);
    assert!(webhooks[0].error.as_ref().unwrap().contains("[redacted]") && chat[0].error.as_ref().unwrap().contains("[redacted]"));
    let all = format!("{:?}", worker.telemetry.spans());
    assert!(!all.contains("s3cr3t") && !all.contains("C2FVsBQ"), "{all}");
    worker.stop().await;
}
