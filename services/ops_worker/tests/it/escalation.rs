//! Alerts grow louder while nobody acknowledges them.

use std::time::Duration;

use pulse_domain::alert::{AlertEvent, Cause, EventKind};
use pulse_domain::escalation::{Level, Policy, PolicySpec};
use pulse_domain::ids::{PolicyId, TenantId};
use pulse_domain::rule::Severity;

use crate::fixture::{Running, World, eventually};

const NAME: &str = "escalation";

pub(crate) async fn policy(world: &World, tenant_id: &TenantId, min_severity: u8, after_seconds: &[u32]) {
    let spec = PolicySpec {
        name: "louder".to_owned(),
        enabled: true,
        min_severity: Severity::new(min_severity).unwrap(),
        levels: after_seconds.iter().map(|&after_seconds| Level { after_seconds }).collect(),
    };
    let policy = Policy { tenant_id: tenant_id.clone(), policy_id: PolicyId::generate(), spec, created_at: world.now() };
    world.store.insert_policy(&policy).await.unwrap();
}

fn escalated(worker: &Running) -> f64 {
    worker.value("pulse_ops_alerts_escalated_total", &[])
}

fn levels(events: &[AlertEvent]) -> Vec<(u32, u8)> {
    let escalations = events.iter().filter(|event| event.kind == EventKind::Escalated);
    escalations.map(|event| (event.alert.escalation_level, event.alert.severity.get())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_is_an_event_of_its_own_and_raises_the_severity() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    policy(&world, &tenant, 1, &[60, 120, 180]).await;
    let alert = world.open(&tenant, "d1", 3).await;
    let worker = world.worker().await;
    worker.looked(NAME).await;
    assert_eq!(world.alert(&tenant, alert).await.escalation_level, 0, "no level is due yet");
    for level in 1..=3u32 {
        world.hand.advance(Duration::from_secs(60));
        eventually("the level is reached", async || world.alert(&tenant, alert).await.escalation_level == level).await;
    }
    worker.looked(NAME).await;
    assert_eq!(levels(&world.events(&tenant, alert).await), [(1, 4), (2, 5), (3, 5)]);
    eventually("each is counted once", async || escalated(&worker) == 3.0).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_missed_are_passed_over_and_the_loudest_policy_counts() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    policy(&world, &tenant, 1, &[60]).await;
    policy(&world, &tenant, 3, &[60, 120, 3_600]).await;
    policy(&world, &tenant, 5, &[1, 2, 3, 4]).await;
    let alert = world.open(&tenant, "d1", 3).await;
    world.hand.advance(Duration::from_secs(150));
    let worker = world.worker().await;
    eventually("it is escalated", async || world.alert(&tenant, alert).await.escalation_level > 0).await;
    assert_eq!(levels(&world.events(&tenant, alert).await), [(2, 4)]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_silenced_closed_and_foreign_alerts_stay_as_they_are() {
    let world = World::new().await;
    let (tenant, without) = (world.tenant("t1").await, world.tenant("t2").await);
    policy(&world, &tenant, 3, &[60]).await;
    let acknowledged = world.open(&tenant, "acknowledged", 3).await;
    let silenced = world.open(&tenant, "silenced", 3).await;
    let closed = world.open(&tenant, "closed", 3).await;
    let mild = world.open(&tenant, "mild", 2).await;
    let open = world.open(&tenant, "open", 3).await;
    let foreign = world.open(&without, "foreign", 5).await;
    let (now, cause) = (world.now(), Cause::default());
    world.store.acknowledge_alert(&tenant, acknowledged, "ada", now, &cause).await.unwrap();
    world.store.silence_alert(&tenant, silenced, now + Duration::from_secs(600)).await.unwrap();
    world.store.close_alert(&tenant, closed, now, &cause).await.unwrap();

    let worker = world.worker().await;
    world.hand.advance(Duration::from_secs(300));
    eventually("the open one is escalated", async || world.alert(&tenant, open).await.escalation_level == 1).await;
    worker.looked(NAME).await;
    for (tenant_id, alert_id) in [(&tenant, acknowledged), (&tenant, silenced), (&tenant, closed), (&tenant, mild), (&without, foreign)] {
        let alert = world.alert(tenant_id, alert_id).await;
        assert_eq!(alert.escalation_level, 0, "{}", alert.device_id);
    }
    world.hand.advance(Duration::from_secs(301));
    eventually("the silence is over", async || world.alert(&tenant, silenced).await.escalation_level == 1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_and_more_than_a_page_escalate_each_alert_once() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    policy(&world, &tenant, 1, &[60]).await;
    let mut alerts = Vec::new();
    for n in 0..620 {
        alerts.push(world.open(&tenant, &format!("d{n}"), 3).await);
    }
    world.hand.advance(Duration::from_secs(60));
    let (one, two) = (world.worker().await, world.worker().await);
    eventually("all are escalated", async || escalated(&one) + escalated(&two) >= 620.0).await;
    one.looked(NAME).await;
    two.looked(NAME).await;
    assert_eq!(escalated(&one) + escalated(&two), 620.0);
    for alert in alerts {
        assert_eq!(levels(&world.events(&tenant, alert).await), [(1, 4)]);
    }
    one.stop().await;
    two.stop().await;
}
