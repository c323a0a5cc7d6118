//! The spans of the chores: only of what they do, each a trace of its own that its events go on in.

use std::time::Duration;

use pulse_domain::alert::EventKind;
use pulse_ops_worker::Settings;
use pulse_telemetry::opentelemetry::trace::SpanKind;

use crate::escalation::policy;
use crate::fixture::{World, eventually, quick};
use crate::health_monitor::{Service, open, watching};
use crate::jobs_expiry::{LEASE, claim, make_jobs};

#[tokio::test(flavor = "multi_thread")]
async fn an_escalation_goes_on_from_its_steps_span() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    policy(&world, &tenant, 1, &[60]).await;
    let alert = world.open(&tenant, "d1", 3).await;
    world.hand.advance(Duration::from_secs(60));
    let worker = world.traced(quick()).await;
    let step = worker.spans("escalation", 1).await.remove(0);
    assert_eq!((&step.parent_id, &step.kind, &step.error), (&None, &SpanKind::Internal, &None));
    let events = world.events(&tenant, alert).await;
    let escalated = events.iter().find(|event| event.kind == EventKind::Escalated).unwrap();
    assert_eq!(escalated.trace.as_ref().unwrap().as_str(), step.traceparent);
    for operation in ["escalation_candidates", "escalate"] {
        let call = worker.spans(operation, 1).await.remove(0);
        assert!(call.is_child_of(&step.traceparent) && call.kind == SpanKind::Client, "{call:?}");
    }
    worker.looked("escalation").await;
    assert_eq!(worker.spans("escalation", 1).await.len(), 1, "steps that find nothing are no spans");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_is_a_request_and_its_alert_goes_on_from_the_step() {
    let (world, well, ill) = (World::new().await, Service::start("well").await, Service::start("ill").await);
    ill.answers(503);
    let worker = world.traced(watching(&[&well, &ill])).await;
    eventually("an alert opened", async || open(&world).await.len() == 1).await;
    let alert = open(&world).await.remove(0);
    let event = world.events(&alert.tenant_id, alert.alert_id).await.remove(0);
    let change = worker.spans("apply_alert_changes", 1).await.remove(0);
    let steps = worker.spans("health_monitor", 2).await;
    let step = steps.iter().find(|step| change.is_child_of(&step.traceparent)).unwrap();
    assert_eq!((event.trace.unwrap().as_str(), &step.parent_id), (step.traceparent.as_str(), &None));
    let checks = worker.telemetry.spans().into_iter().filter(|span| span.name == "GET" && span.is_child_of(&step.traceparent));
    let mut checks: Vec<_> = checks.collect();
    checks.sort_by_key(|check| check.attributes["pulse.ops.target"].clone());
    let said = |name| checks.iter().map(|check| check.attribute(name)).collect::<Vec<_>>();
    assert_eq!(said("pulse.ops.target"), [Some("ill"), Some("well")]);
    assert_eq!(said("http.response.status_code"), [Some("503"), Some("200")]);
    assert_eq!(said("error.type"), [Some("status"), None]);
    assert_eq!(said("server.address"), [Some("127.0.0.1"); 2]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_back_and_removed_is_a_span_and_looking_is_none() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    make_jobs(&world, &tenant, 3).await;
    let worker = world.traced(Settings { attempts_max: 1, keep_finished: Duration::from_secs(3600), ..quick() }).await;
    for chore in ["jobs_expiry", "retention", "escalation", "health_monitor"] {
        worker.looked(chore).await;
    }
    assert_eq!(worker.telemetry.spans(), []);
    assert_eq!(claim(&world).await.jobs.len(), 3);
    world.hand.advance(LEASE + Duration::from_secs(1));
    let expired = worker.spans("jobs_expiry", 1).await.remove(0);
    assert!(expired.parent_id.is_none() && expired.attribute("pulse.ops.rows") == Some("3"), "{expired:?}");
    assert!(worker.spans("expire_job_leases", 1).await[0].is_child_of(&expired.traceparent));
    world.hand.advance(Duration::from_secs(2 * 3600));
    let purged = worker.spans("jobs_expiry", 2).await.remove(1);
    assert!(worker.spans("purge_finished", 1).await[0].is_child_of(&purged.traceparent), "{purged:?}");
    worker.stop().await;
}
