//! Who hears of what, through the whole path from routes in the store to jobs in the store.

use std::time::Duration;

use pulse_domain::alert::{AlertType, Cause, EventKind};
use pulse_domain::ids::{RouteId, SiteId};
use pulse_domain::integration::{Destination, Queue};
use pulse_domain::job::Job;
use pulse_domain::route::RouteSpec;
use pulse_domain::rule::Severity;

use crate::fixture::World;

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_an_alert_is_told_by_a_job_of_its_own_and_silence_does_not_hide_its_end() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    world.route(&tenant, webhook, |_| {}).await;
    let alert = world.alert(&tenant, "d1");
    let id = alert.alert_id;
    world.open(vec![alert]).await;
    let now = world.clock.now();
    for level in [1, 2] {
        assert_eq!(world.store.escalate(&[(tenant.clone(), id, level)], now, None).await.unwrap(), 1);
    }
    world.store.silence_alert(&tenant, id, now + Duration::from_secs(3_600)).await.unwrap();
    world.store.acknowledge_alert(&tenant, id, "ada", now, &Cause::default()).await.unwrap();
    world.store.close_alert(&tenant, id, now, &Cause::default()).await.unwrap();

    let dispatcher = world.dispatcher().await;
    world.drained().await;
    let mut told: Vec<_> = world.jobs(&tenant).await.iter().map(told).collect();
    told.sort();
    let expected =
        [("ACKNOWLEDGED", 5, None), ("CLOSED", 5, None), ("ESCALATED", 4, Some(1)), ("ESCALATED", 5, Some(2)), ("OPEN", 3, None)];
    assert_eq!(told, expected.map(|(kind, severity, level)| (kind.to_owned(), severity, level)));
    dispatcher.stop().await;
}

fn told(job: &Job) -> (String, u64, Option<u64>) {
    let payload = job.payload.to_value();
    (payload["event"].as_str().unwrap().to_owned(), payload["severity"].as_u64().unwrap(), payload["escalation_level"].as_u64())
}

/// A route's filters, and whether it wants an OPEN of severity 3 from device d1 at site s1.
struct Case {
    what: &'static str,
    change: fn(&mut RouteSpec),
    wanted: bool,
}

const CASES: &[Case] = &[
    Case { what: "no filter", change: |_| {}, wanted: true },
    Case { what: "its severity", change: |r| r.min_severity = Severity::new(3).unwrap(), wanted: true },
    Case { what: "more severe only", change: |r| r.min_severity = Severity::new(4).unwrap(), wanted: false },
    Case { what: "its kind", change: |r| r.deliver_on = vec![EventKind::Closed, EventKind::Open], wanted: true },
    Case { what: "other kinds", change: |r| r.deliver_on = vec![EventKind::Closed], wanted: false },
    Case { what: "its type", change: |r| r.alert_types = vec![AlertType::SystemHealth], wanted: true },
    Case { what: "another type", change: |r| r.alert_types = vec![AlertType::Threshold], wanted: false },
    Case { what: "its site", change: |r| r.site_ids = vec![SiteId::parse("s1").unwrap()], wanted: true },
    Case { what: "another site", change: |r| r.site_ids = vec![SiteId::parse("s2").unwrap()], wanted: false },
    Case { what: "its prefix", change: |r| r.device_prefixes = vec!["x".to_owned(), "d".to_owned()], wanted: true },
    Case { what: "another prefix", change: |r| r.device_prefixes = vec!["d2".to_owned()], wanted: false },
    Case { what: "disabled", change: |r| r.enabled = false, wanted: false },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_route_hears_of_what_it_asked_for() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    let mut routes = Vec::new();
    for case in CASES {
        routes.push((case, world.route(&tenant, webhook, case.change).await));
    }
    world.open_many(&tenant, 2).await;
    let dispatcher = world.dispatcher().await;
    world.drained().await;
    let jobs = world.jobs(&tenant).await;
    for (case, route) in routes {
        // d0 has the prefix d2 no more than d1 has.
        assert_eq!(heard(&jobs, route), if case.wanted { 2 } else { 0 }, "{}", case.what);
    }
    dispatcher.stop().await;
}

fn heard(jobs: &[Job], route: RouteId) -> usize {
    jobs.iter().filter(|job| job.route_id == route).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn priority_decides_who_is_asked_first_and_a_stop_ends_it() {
    let world = World::new().await;
    let (tenant, other) = (world.tenant("t1").await, world.tenant("t2").await);
    let (webhook, others) = (world.webhook(&tenant).await, world.webhook(&other).await);
    let chat = world.integration(&tenant, Destination::Slack { url: "https://example.com/chat".to_owned() }).await;
    let last = world.route(&tenant, webhook, |route| route.priority = 30).await;
    let stops = world.route(&tenant, chat, |route| (route.priority, route.stop_after_match) = (20, true)).await;
    let first = world.route(&tenant, webhook, |route| route.priority = 10).await;
    let passed = world.route(&tenant, webhook, |route| {
        (route.priority, route.stop_after_match, route.deliver_on) = (5, true, vec![EventKind::Closed]);
    });
    let passed = passed.await;
    let foreign = world.route(&other, others, |route| route.priority = 1).await;
    world.open_many(&tenant, 1).await;

    let dispatcher = world.dispatcher().await;
    world.drained().await;
    let jobs = world.jobs(&tenant).await;
    assert_eq!([passed, first, stops, last, foreign].map(|route| heard(&jobs, route)), [0, 1, 1, 0, 0]);
    let queue = |route| jobs.iter().find(|job| job.route_id == route).map(|job| job.queue);
    assert_eq!((queue(first), queue(stops)), (Some(Queue::Integration), Some(Queue::Notification)));
    assert!(world.jobs(&other).await.is_empty());
    dispatcher.stop().await;
}
