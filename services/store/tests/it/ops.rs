//! The chores of the ops worker.

use pulse_domain::alert::{Alert, Cause, EventKind};
use pulse_domain::escalation::{Level, Policy, PolicySpec};
use pulse_domain::ids::{AlertId, PolicyId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, JobState, Verdict};
use pulse_domain::reading::NewReading;
use pulse_domain::rule::Severity;
use pulse_store::{AttemptRecord, Claim, Purged};

use crate::contract;
use crate::fixture::*;

fn policy(tenant_id: &TenantId, min_severity: u8, levels: &[u32]) -> Policy {
    let levels = levels.iter().map(|after_seconds| Level { after_seconds: *after_seconds }).collect();
    let min_severity = Severity::new(min_severity).unwrap();
    let spec = PolicySpec { name: "night".into(), enabled: true, min_severity, levels };
    Policy { tenant_id: tenant_id.clone(), policy_id: PolicyId::generate(), spec, created_at: at(0) }
}

fn ids(alerts: &[Alert]) -> Vec<AlertId> {
    alerts.iter().map(|alert| alert.alert_id).collect()
}

contract!(alerts_are_candidates_once_a_level_is_due, |db| {
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    db.with_devices(&t1, &["a", "b", "c", "d", "low"]).await;
    db.with_devices(&t2, &["a"]).await;
    let policies = [policy(&t1, 3, &[60, 300]), policy(&t1, 5, &[10])];
    let mut off = policy(&t1, 1, &[1]);
    off.spec.enabled = false;
    for policy in policies.iter().chain([&off]) {
        db.insert_policy(policy).await.unwrap();
    }
    let opened = ["a", "b", "c", "d"].map(|name| alert(&t1, name, at(0)));
    let mut low = alert(&t1, "low", at(0));
    low.severity = Severity::MIN;
    for alert in opened.iter().chain([&low, &alert(&t2, "a", at(0))]) {
        db.with_alert(alert).await;
    }
    db.acknowledge_alert(&t1, opened[1].alert_id, "ann", at(1), &Cause::default()).await.unwrap();
    db.silence_alert(&t1, opened[2].alert_id, at(100)).await.unwrap();
    assert_eq!(db.escalation_candidates(at(59), None, 10).await.unwrap(), (vec![], vec![]));

    let (alerts, found) = db.escalation_candidates(at(60), None, 10).await.unwrap();
    assert_eq!((ids(&alerts), found), (vec![opened[0].alert_id, opened[3].alert_id], policies.to_vec()));
    let (first, _) = db.escalation_candidates(at(60), None, 1).await.unwrap();
    let (rest, _) = db.escalation_candidates(at(60), Some(first[0].alert_id), 1).await.unwrap();
    assert_eq!([ids(&first), ids(&rest)].concat(), ids(&alerts));

    assert_eq!(db.escalate(&[(t1.clone(), opened[0].alert_id, 1)], at(61), None).await.unwrap(), 1);
    let (alerts, _) = db.escalation_candidates(at(61), None, 10).await.unwrap();
    assert_eq!(ids(&alerts), [opened[3].alert_id], "the level it has reached is no longer due");
    let (alerts, _) = db.escalation_candidates(at(300), None, 10).await.unwrap();
    assert_eq!(ids(&alerts), [0, 2, 3].map(|place: usize| opened[place].alert_id));
    assert!(alerts.iter().any(|alert| policies[0].spec.due_level(alert, at(300)) == Some(2)));
});

contract!(an_alert_is_raised_to_a_level_once, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2", "d3"]).await;
    let mut top = alert(&t, "d2", at(0));
    top.severity = Severity::MAX;
    let (mid, done) = (alert(&t, "d1", at(0)), alert(&t, "d3", at(0)));
    for alert in [&mid, &top, &done] {
        db.with_alert(alert).await;
    }
    db.close_alert(&t, done.alert_id, at(1), &Cause::default()).await.unwrap();
    let level = |alert: &Alert, level| (t.clone(), alert.alert_id, level);
    assert_eq!(db.escalate(&[level(&mid, 2), level(&top, 1), level(&done, 1)], at(5), Some(&trace())).await.unwrap(), 2);
    assert_eq!(db.escalate(&[level(&mid, 2), level(&mid, 1), level(&top, 1)], at(6), None).await.unwrap(), 0);
    assert_eq!(db.escalate(&[], at(6), None).await.unwrap(), 0);

    let raised = db.alert(&t, mid.alert_id).await.unwrap().unwrap();
    assert_eq!((raised.severity.get(), raised.escalation_level, raised.updated_at), (4, 2, at(5)));
    assert_eq!(db.alert(&t, top.alert_id).await.unwrap().unwrap().severity, Severity::MAX);
    let events = db.alert_events(&t, mid.alert_id).await.unwrap();
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Open, EventKind::Escalated]);
    assert_eq!((events[1].at, &events[1].alert, events[1].origin_at, events[1].trace.clone()), (at(5), &raised, None, Some(trace())));

    // A judgement that repeats the alert does not take the escalation back.
    db.append_readings(&[reading(&key(&t, "d1"), at(7))]).await.unwrap();
    let update = pulse_domain::alert::AlertChange::Update {
        alert_id: mid.alert_id,
        severity: Severity::new(3).unwrap(),
        summary: "still".into(),
        details: serde_json::json!({}),
        at: at(7),
    };
    db.judge(at(7), "d1", vec![update]).await;
    assert_eq!(db.alert(&t, mid.alert_id).await.unwrap().unwrap().severity.get(), 4);
});

/// Delivers a job for every event there is, except that the last is left under its lease.
async fn deliver(db: &Db, t: &TenantId, route: &pulse_domain::route::Route, now: i64) {
    let batch = db.claim_events(claim(at(now))).await.unwrap();
    let events: Vec<_> = batch.events.iter().map(|event| (t.clone(), event.event_id)).collect();
    let jobs: Vec<_> =
        batch.events.iter().map(|event| pulse_domain::job::NewJob { event_id: event.event_id, ..job(route, at(now)) }).collect();
    db.commit_dispatch(batch.lease, &events, &jobs, at(now)).await.unwrap();
    let claimed = db.claim_jobs(Queue::Integration, claim(at(now)), &[]).await.unwrap();
    let records: Vec<_> = claimed
        .jobs
        .iter()
        .rev()
        .skip(1)
        .map(|due| AttemptRecord {
            tenant_id: t.clone(),
            lease: claimed.lease,
            attempt: Attempt {
                job_id: due.job.job_id,
                attempt: 1,
                started_at: at(now),
                finished_at: at(now),
                error: None,
                http_status: Some(200),
                detail: None,
            },
            verdict: Verdict::Delivered,
            trace: None,
        })
        .collect();
    db.record_attempts(&records, at(now)).await.unwrap();
}

contract!(jobs_whose_lease_has_passed_are_pending_again_or_dead, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["a", "b", "c"]).await;
    let route = db.with_route(&t).await;
    let opens: Vec<_> = ["a", "b", "c"].iter().map(|name| open(&alert(&t, name, at(0)))).collect();
    db.apply_alert_changes(&t, &opens, at(0)).await.unwrap();
    let batch = db.claim_events(claim(at(0))).await.unwrap();
    let events: Vec<_> = batch.events.iter().map(|event| (t.clone(), event.event_id)).collect();
    let jobs: Vec<_> =
        batch.events.iter().map(|event| pulse_domain::job::NewJob { event_id: event.event_id, ..job(&route, at(0)) }).collect();
    db.commit_dispatch(batch.lease, &events, &jobs, at(0)).await.unwrap();

    db.claim_jobs(Queue::Integration, claim(at(1)), &[]).await.unwrap();
    let end = at(1) + LEASE;
    assert_eq!(db.expire_job_leases(end - chrono::TimeDelta::microseconds(1), 2, 10).await.unwrap(), Purged::default());
    assert_eq!(db.expire_job_leases(end, 2, 2).await.unwrap(), Purged { rows: 2, more: true });
    assert_eq!(db.expire_job_leases(end, 2, 2).await.unwrap(), Purged { rows: 1, more: false });
    let states = async || db.jobs(&t, &Default::default(), &all()).await.unwrap().items.iter().map(|job| job.state).collect::<Vec<_>>();
    assert_eq!(states().await, [JobState::Pending; 3]);
    let again = db.claim_jobs(Queue::Integration, claim(end), &[]).await.unwrap();
    assert_eq!(again.jobs.iter().map(|claimed| claimed.job.attempts).collect::<Vec<_>>(), [2; 3], "an attempt that vanished counts");
    assert_eq!(db.expire_job_leases(end + LEASE, 2, 10).await.unwrap(), Purged { rows: 3, more: false });
    assert_eq!(states().await, [JobState::Dead; 3]);
    let dead = db.job(&t, jobs[0].job_id).await.unwrap().unwrap();
    assert_eq!(dead.finished_at, Some(end + LEASE));
    assert!(dead.last_error.unwrap().contains("lease"));
    assert!(db.replay_job(&t, jobs[0].job_id, end + LEASE).await.unwrap().unwrap().1);
});

contract!(what_is_finished_is_purged_in_bounded_steps, |db| {
    let t = tenant("t1");
    let names = ["a", "b", "c", "d", "e"];
    db.with_devices(&t, &names).await;
    let route = db.with_route(&t).await;
    let alerts = names.map(|name| alert(&t, name, at(0)));
    db.apply_alert_changes(&t, &alerts.each_ref().map(open), at(0)).await.unwrap();
    deliver(&db, &t, &route, 10).await;
    db.apply_alert_changes(&t, &alerts[..3].iter().map(|alert| close(alert, at(20))).collect::<Vec<_>>(), at(20)).await.unwrap();

    assert_eq!(db.purge_finished(at(0), 100).await.unwrap(), Purged::default());
    // Four delivered jobs and five dispatched events, then three closed alerts.
    let mut steps = Vec::new();
    loop {
        let step = db.purge_finished(at(21), 5).await.unwrap();
        assert!(step.rows <= 5);
        steps.push(step.rows);
        if !step.more {
            break;
        }
    }
    assert_eq!(steps.iter().sum::<u64>(), 12, "{steps:?}");
    assert_eq!(steps.len(), 3);

    let jobs = db.jobs(&t, &Default::default(), &all()).await.unwrap().items;
    assert_eq!(jobs.iter().map(|job| job.state).collect::<Vec<_>>(), [JobState::Leased]);
    assert_eq!(db.alerts(&t, &Default::default(), &all()).await.unwrap().items.len(), 2);
    // The closings have not been dispatched: they stay however old they are.
    assert_eq!(db.dispatch_backlog(at(99)).await.unwrap().depth, 3);
    assert_eq!(db.claim_events(claim(at(99_999_999))).await.unwrap().events.len(), 3);
});

contract!(silences_that_are_over_are_purged, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["a", "b"]).await;
    for (name, until) in [("a", 50), ("b", 60)] {
        let opened = alert(&t, name, at(1));
        db.with_alert(&opened).await;
        db.silence_alert(&t, opened.alert_id, at(until)).await.unwrap();
    }
    assert_eq!(db.purge_finished(at(55), 10).await.unwrap(), Purged { rows: 1, more: false });
    db.append_readings(&[reading(&key(&t, "b"), at(2))]).await.unwrap();
    assert_eq!(db.claim(at(55)).await.devices[0].silences.len(), 1);
});

contract!(attempts_go_with_their_jobs, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["a", "b"]).await;
    let route = db.with_route(&t).await;
    db.apply_alert_changes(&t, &["a", "b"].map(|name| open(&alert(&t, name, at(0)))), at(0)).await.unwrap();
    deliver(&db, &t, &route, 10).await;
    let delivered = db.jobs(&t, &Default::default(), &all()).await.unwrap().items.into_iter().find(|job| job.state == JobState::Delivered);
    let delivered = delivered.unwrap().job_id;
    assert_eq!(db.attempts(&t, delivered).await.unwrap().len(), 1);
    db.purge_finished(at(50), 100).await.unwrap();
    assert_eq!(db.attempts(&t, delivered).await.unwrap(), []);
});

contract!(only_evaluated_readings_are_purged_in_bounded_steps, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["a", "b"]).await;
    for name in ["a", "b"] {
        let sent: Vec<NewReading> = (0..5).map(|n| reading(&key(&t, name), at(n))).collect();
        db.append_readings(&sent).await.unwrap();
    }
    assert_eq!(db.purge_readings(at(100), 100).await.unwrap(), Purged::default());
    let batch = db.claim_due_devices(Claim { limit: 1, ..claim(at(5)) }, 100).await.unwrap();
    let judged = batch.devices[0].key.clone();
    db.commit_evaluation(batch.lease, &[outcome(&batch.devices[0])], at(5)).await.unwrap();

    assert_eq!(db.purge_readings(at(3), 2).await.unwrap(), Purged { rows: 2, more: true });
    assert_eq!(db.purge_readings(at(3), 2).await.unwrap(), Purged { rows: 1, more: false });
    let left = db.readings(&judged, None, None, &all()).await.unwrap().items;
    assert_eq!(left.iter().map(|reading| reading.received_at).collect::<Vec<_>>(), [at(4), at(3)]);
    assert_eq!(db.purge_readings(at(100), 100).await.unwrap(), Purged { rows: 2, more: false });
    let other = db.claim(at(9)).await;
    assert_eq!(other.devices[0].readings.len(), 5);
    // A device whose readings are gone goes on counting where it was.
    db.append_readings(&[reading(&judged, at(1))]).await.unwrap();
    assert!(db.claim(at(9)).await.devices.iter().any(|due| due.key == judged && due.readings.len() == 1));
});
