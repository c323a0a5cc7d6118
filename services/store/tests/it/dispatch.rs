//! Events to dispatch.

use std::time::Duration;

use pulse_domain::alert::Cause;
use pulse_domain::ids::{EventId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{JobState, NewJob};
use pulse_domain::route::Route;
use pulse_store::{Backlog, Claim, DispatchSummary, EventBatch, Topic};

use crate::contract;
use crate::fixture::*;

fn keys(batch: &EventBatch) -> Vec<(TenantId, EventId)> {
    batch.events.iter().map(|event| (event.alert.tenant_id.clone(), event.event_id)).collect()
}

fn jobs_for(batch: &EventBatch, route: &Route) -> Vec<NewJob> {
    batch.events.iter().map(|event| NewJob { event_id: event.event_id, ..job(route, at(50)) }).collect()
}

/// All events of a batch dispatched, with so many jobs.
fn dispatched(batch: &EventBatch, jobs: u64) -> DispatchSummary {
    DispatchSummary { dispatched: batch.events.iter().map(|event| event.event_id).collect(), jobs }
}

contract!(events_wait_however_old_they_are_oldest_first, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2", "d3"]).await;
    assert_eq!(db.dispatch_backlog(at(5)).await.unwrap(), Backlog::default());
    let opened = [alert(&t, "d1", at(-9_000_000)), alert(&t, "d2", at(1)), alert(&t, "d3", at(2))];
    for alert in &opened {
        db.with_alert(alert).await;
    }
    assert_eq!(db.dispatch_backlog(at(5)).await.unwrap(), Backlog { depth: 3, oldest_at: Some(at(-9_000_000)) });
    let first = db.claim_events(Claim { limit: 2, ..claim(at(5)) }).await.unwrap();
    let second = db.claim_events(Claim { limit: 2, ..claim(at(5)) }).await.unwrap();
    let alerts = |batch: &EventBatch| batch.events.iter().map(|event| event.alert.clone()).collect::<Vec<_>>();
    assert_eq!([alerts(&first), alerts(&second)], [opened[..2].to_vec(), opened[2..].to_vec()]);
    assert_eq!(db.dispatch_backlog(at(5)).await.unwrap().depth, 3, "claimed is not finished");
    assert_eq!(db.claim_events(claim(at(5))).await.unwrap().events, []);
    db.commit_dispatch(first.lease, &keys(&first), &[], at(6)).await.unwrap();
    assert_eq!(db.dispatch_backlog(at(6)).await.unwrap(), Backlog { depth: 1, oldest_at: Some(at(2)) });
});

contract!(events_come_with_the_enabled_routes_of_their_tenants, |db| {
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    for t in [&t1, &t2] {
        db.with_devices(t, &["d1"]).await;
    }
    let mine = db.with_route(&t1).await;
    db.with_route(&t2).await;
    let mut off = route(&t1, mine.spec.integration_id);
    off.spec.enabled = false;
    db.insert_route(&off).await.unwrap();
    let mut dark = webhook(&t1);
    dark.enabled = false;
    db.insert_integration(&dark).await.unwrap();
    db.insert_route(&route(&t1, dark.integration_id)).await.unwrap();
    let mut chat = webhook(&t1);
    chat.destination = pulse_domain::integration::Destination::Slack { url: "https://chat.example.test/x".into() };
    db.insert_integration(&chat).await.unwrap();
    let to_chat = route(&t1, chat.integration_id);
    db.insert_route(&to_chat).await.unwrap();

    db.with_alert(&alert(&t1, "d1", at(1))).await;
    let batch = db.claim_events(claim(at(2))).await.unwrap();
    assert_eq!(batch.routes, [(mine, Queue::Integration), (to_chat, Queue::Notification)]);
    assert_eq!(db.claim_events(claim(at(2))).await.unwrap().routes, []);
});

contract!(a_job_is_made_once_per_event_and_route, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let route = db.with_route(&t).await;
    db.with_alert(&alert(&t, "d1", at(1))).await;
    let batch = db.claim_events(claim(at(2))).await.unwrap();
    let mut jobs = jobs_for(&batch, &route);
    jobs.extend(jobs_for(&batch, &route));
    let mut wake = db.wake(Topic::Jobs);
    wake.arm();
    let summary = db.commit_dispatch(batch.lease, &keys(&batch), &jobs, at(3)).await.unwrap();
    assert_eq!(summary, dispatched(&batch, 1));
    tokio::time::timeout(Duration::from_secs(5), wake.signalled()).await.unwrap();
    // The same again: the event is off the queue, the job is there.
    let again = db.commit_dispatch(batch.lease, &keys(&batch), &jobs_for(&batch, &route), at(4)).await.unwrap();
    assert_eq!(again, DispatchSummary::default());

    let kept = db.jobs(&t, &Default::default(), &all()).await.unwrap().items;
    assert_eq!(kept.len(), 1);
    let (kept, asked) = (&kept[0], &jobs[0]);
    assert_eq!((kept.job_id, kept.event_id, kept.route_id), (asked.job_id, asked.event_id, asked.route_id));
    assert_eq!((kept.state, kept.attempts, kept.queue, kept.integration_id), (JobState::Pending, 0, asked.queue, asked.integration_id));
    assert_eq!((kept.run_at, kept.created_at, kept.finished_at, kept.origin_at), (asked.run_at, at(3), None, asked.origin_at));
    assert_eq!((&kept.payload, &kept.trace, &kept.last_error), (&asked.payload, &asked.trace, &None));
    assert_eq!(db.job(&t, asked.job_id).await.unwrap().as_ref(), Some(kept));
});

contract!(every_kind_of_event_makes_its_own_job, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let route = db.with_route(&t).await;
    let opened = alert(&t, "d1", at(1));
    db.with_alert(&opened).await;
    db.escalate(&[(t.clone(), opened.alert_id, 1)], at(2), None).await.unwrap();
    db.acknowledge_alert(&t, opened.alert_id, "ann", at(3), &Cause::default()).await.unwrap();
    db.close_alert(&t, opened.alert_id, at(4), &Cause::default()).await.unwrap();
    let batch = db.claim_events(claim(at(5))).await.unwrap();
    let summary = db.commit_dispatch(batch.lease, &keys(&batch), &jobs_for(&batch, &route), at(5)).await.unwrap();
    assert_eq!(summary, dispatched(&batch, 4));
});

contract!(no_jobs_are_made_for_events_whose_lease_is_lost, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let route = db.with_route(&t).await;
    db.with_alert(&alert(&t, "d1", at(1))).await;
    let late = db.claim_events(claim(at(2))).await.unwrap();
    let end = at(2) + LEASE;
    assert_eq!(db.commit_dispatch(late.lease, &keys(&late), &jobs_for(&late, &route), end).await.unwrap(), DispatchSummary::default());
    let next = db.claim_events(claim(end)).await.unwrap();
    assert_eq!(keys(&next), keys(&late));
    assert_eq!(db.commit_dispatch(late.lease, &keys(&late), &jobs_for(&late, &route), end).await.unwrap(), DispatchSummary::default());
    db.with_alert(&alert(&t, "d2", at(3))).await;
    let mine = db.claim_events(claim(end)).await.unwrap();
    // One of two is held under this lease: its job is made, the other's is not.
    let both: Vec<_> = keys(&next).into_iter().chain(keys(&mine)).collect();
    let jobs: Vec<_> = jobs_for(&next, &route).into_iter().chain(jobs_for(&mine, &route)).collect();
    assert_eq!(db.commit_dispatch(mine.lease, &both, &jobs, end).await.unwrap(), dispatched(&mine, 1));
    let kept = db.jobs(&t, &Default::default(), &all()).await.unwrap().items;
    assert_eq!(kept.iter().map(|job| job.event_id).collect::<Vec<_>>(), [mine.events[0].event_id]);
    assert_eq!(db.dispatch_backlog(end).await.unwrap().depth, 1);
});

contract!(events_are_claimed_once_by_many_dispatchers, |db| {
    let t = tenant("t1");
    let names: Vec<String> = (0..40).map(|n| format!("d{n}")).collect();
    db.with_devices(&t, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let changes: Vec<_> = names.iter().map(|name| open(&alert(&t, name, at(1)))).collect();
    assert_eq!(db.apply_alert_changes(&t, &changes, at(1)).await.unwrap().opened.len(), 40);
    let claims: Vec<_> = (0..8)
        .map(|_| {
            let store = db.shared();
            tokio::spawn(async move { store.claim_events(Claim { limit: 7, ..claim(at(2)) }).await.unwrap().events })
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut total = 0;
    for task in claims {
        let events = task.await.unwrap();
        total += events.len();
        seen.extend(events.into_iter().map(|event| event.event_id));
    }
    assert_eq!((total, seen.len()), (40, 40));
});
