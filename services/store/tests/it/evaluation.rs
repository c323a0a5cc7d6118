//! Devices to evaluate.

use crate::contract;
use crate::fixture::*;

contract!(a_reading_makes_its_device_due_with_what_judging_takes, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let d1 = key(&t, "d1");
    db.append_readings(&[reading(&d1, at(1)), reading(&d1, at(2))]).await.unwrap();
    let backlog = db.evaluation_backlog(at(5)).await.unwrap();
    assert_eq!((backlog.depth, backlog.oldest_at), (1, Some(at(1))));
    let batch = db.claim(at(5)).await;
    assert_eq!(batch.devices.len(), 1);
    let due = &batch.devices[0];
    assert_eq!(due.readings.len(), 2);
    assert_eq!(due.last_seen, Some(at(2)));
    let a = alert(&t, "d1", at(5));
    let mut o = outcome(due);
    o.changes = vec![open(&a), close(&a, at(6))];
    let s = db.commit_evaluation(batch.lease, &[o], at(6)).await.unwrap();
    assert_eq!((s.opened, s.closed, s.lost), (1, 1, 0));
    let events = db.alert_events(&t, a.alert_id).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].alert, a);
    assert_eq!(db.evaluation_backlog(at(99)).await.unwrap().depth, 0);
});

contract!(smoke, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let r = rule(&t);
    db.insert_rule(&r).await.unwrap();
    assert_eq!(db.rules_of(std::slice::from_ref(&t)).await.unwrap(), std::slice::from_ref(&r));
    let route = db.with_route(&t).await;
    let a = rule_alert(&r, "d1", at(1));
    db.with_alert(&a).await;
    assert_eq!(db.open_alert(&t, &a.fingerprint).await.unwrap(), Some(a.clone()));
    db.acknowledge_alert(&t, a.alert_id, "me", at(2), &cause(at(2))).await.unwrap().unwrap();
    db.silence_alert(&t, a.alert_id, at(100)).await.unwrap().unwrap();
    let batch = db.claim_events(claim(at(3))).await.unwrap();
    assert_eq!(batch.events.len(), 2);
    assert_eq!(batch.routes.len(), 1);
    let mut j = job(&route, at(3));
    j.event_id = batch.events[0].event_id;
    let events: Vec<_> = batch.events.iter().map(|e| (t.clone(), e.event_id)).collect();
    let s = db.commit_dispatch(batch.lease, &events, &[j.clone()], at(4)).await.unwrap();
    assert_eq!((s.dispatched, s.jobs), (2, 1));
    let jobs = db.claim_jobs(pulse_domain::integration::Queue::Integration, claim(at(5)), &[]).await.unwrap();
    assert_eq!(jobs.jobs.len(), 1);
    assert!(jobs.jobs[0].integration.is_some());
    let rec = pulse_store::AttemptRecord {
        tenant_id: t.clone(),
        lease: jobs.lease,
        attempt: pulse_domain::job::Attempt {
            job_id: j.job_id,
            attempt: 1,
            started_at: at(5),
            finished_at: at(6),
            error: None,
            http_status: Some(200),
            detail: None,
        },
        verdict: pulse_domain::job::Verdict::Delivered,
    };
    assert_eq!(db.record_attempts(&[rec], at(6)).await.unwrap().recorded, 1);
    assert_eq!(db.attempts(&t, j.job_id).await.unwrap().len(), 1);
    println!("{:?}", db.fleet().await.unwrap());
    println!("{:?}", db.purge_finished(at(1000), 10).await.unwrap());
    println!("{:?}", db.purge_readings(at(1000), 10).await.unwrap());
    assert!(db.update_device(&t, &spec("d1"), at(9)).await.unwrap());
    assert!(db.delete_rule(&t, r.rule_id, at(10)).await.unwrap());
    assert_eq!(db.alerts(&t, &Default::default(), &all()).await.unwrap().items.len(), 1);
    db.escalation_candidates(at(10), None, 10).await.unwrap();
    db.escalate(&[(t.clone(), a.alert_id, 1)], at(10)).await.unwrap();
    db.expire_job_leases(at(10), 5, 10).await.unwrap();
    db.job_backlog(pulse_domain::integration::Queue::Integration, at(10)).await.unwrap();
    db.dispatch_backlog(at(10)).await.unwrap();
    assert!(db.delete_integration(&t, route.spec.integration_id, at(10)).await.unwrap());
    db.devices(&t, &Default::default(), &all()).await.unwrap();
    db.tokens(None, &all()).await.unwrap();
});
