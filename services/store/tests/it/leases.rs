//! Devices under a lease: who has them, for how long, and what happens meanwhile.

use chrono::TimeDelta;
use pulse_domain::device::DeviceStatus;
use pulse_domain::evaluation::DeviceOutcome;
use pulse_store::{Backlog, Claim, CommitSummary, DueBatch};

use crate::contract;
use crate::fixture::*;

fn names(batch: &DueBatch) -> Vec<&str> {
    batch.devices.iter().map(|due| due.key.device_id.as_str()).collect()
}

contract!(the_longest_due_come_first_and_no_more_than_asked, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["a", "b", "c", "d"]).await;
    for (name, second) in [("a", 4), ("b", 2), ("c", 3), ("d", 90)] {
        db.append_readings(&[reading(&key(&t, name), at(second))]).await.unwrap();
    }
    assert_eq!(db.evaluation_backlog(at(10)).await.unwrap(), Backlog { depth: 3, oldest_at: Some(at(2)) });
    let first = db.claim_due_devices(Claim { limit: 2, ..claim(at(10)) }, 100).await.unwrap();
    assert_eq!(names(&first), ["b", "c"]);
    // What is claimed and unfinished is still waited for.
    assert_eq!(db.evaluation_backlog(at(10)).await.unwrap(), Backlog { depth: 3, oldest_at: Some(at(2)) });
    let second = db.claim_due_devices(Claim { limit: 2, ..claim(at(10)) }, 100).await.unwrap();
    assert_eq!(names(&second), ["a"]);
    let outcomes: Vec<_> = first.devices.iter().map(outcome).collect();
    db.commit_evaluation(first.lease, &outcomes, at(11)).await.unwrap();
    assert_eq!(db.evaluation_backlog(at(11)).await.unwrap(), Backlog { depth: 1, oldest_at: Some(at(4)) });
});

contract!(a_leased_device_is_claimed_again_only_once_the_lease_has_passed, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    db.append_readings(&[reading(&key(&t, "d1"), at(1))]).await.unwrap();
    let first = db.claim(at(10)).await;
    let end = at(10) + LEASE;
    assert_eq!(names(&db.claim(end - TimeDelta::microseconds(1)).await), [""; 0]);
    let second = db.claim(end).await;
    assert_eq!(names(&second), ["d1"]);
    assert_ne!(first.lease, second.lease);

    let mut late = outcome(&first.devices[0]);
    late.changes = vec![open(&alert(&t, "d1", at(10)))];
    let lost = CommitSummary { lost: vec![key(&t, "d1")], ..CommitSummary::default() };
    assert_eq!(db.commit_evaluation(first.lease, &[late], end).await.unwrap(), lost);
    assert_eq!(db.evaluation_backlog(end).await.unwrap().depth, 1);

    let judged = [outcome(&second.devices[0])];
    assert_eq!(db.commit_evaluation(second.lease, &judged, end).await.unwrap(), CommitSummary::default());
    // Once is enough: a second commit under the same lease finds it given back.
    assert_eq!(db.commit_evaluation(second.lease, &judged, end).await.unwrap(), lost);
    assert_eq!(db.alerts(&t, &Default::default(), &all()).await.unwrap().items, []);
});

contract!(a_lease_that_has_passed_is_lost_also_when_nobody_else_came, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    db.append_readings(&[reading(&key(&t, "d1"), at(1)), reading(&key(&t, "d2"), at(1))]).await.unwrap();
    let batch = db.claim(at(10)).await;
    let outcomes: Vec<_> = batch.devices.iter().map(outcome).collect();
    let summary = db.commit_evaluation(batch.lease, &outcomes, at(10) + LEASE).await.unwrap();
    assert_eq!(counts(&summary), [0, 0, 0, 2]);
    assert_eq!(db.claim(at(10) + LEASE).await.devices.len(), 2);
});

contract!(devices_that_are_held_are_committed_beside_those_that_are_lost, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["held", "lost"]).await;
    db.append_readings(&[reading(&key(&t, "lost"), at(1))]).await.unwrap();
    let early = db.claim(at(2)).await;
    db.append_readings(&[reading(&key(&t, "held"), at(20))]).await.unwrap();
    let late = db.claim(at(20)).await;
    let now = at(2) + LEASE;
    let taken_over = db.claim(now).await;
    assert_eq!(names(&taken_over), ["lost"]);

    let (for_held, for_lost) = (alert(&t, "held", at(20)), alert(&t, "lost", at(2)));
    let outcomes = [
        DeviceOutcome { changes: vec![open(&for_lost)], ..outcome(&early.devices[0]) },
        DeviceOutcome { changes: vec![open(&for_held)], ..outcome(&late.devices[0]) },
        DeviceOutcome { changes: vec![close(&for_held, at(21))], ..outcome(&late.devices[0]) },
    ];
    let summary = db.commit_evaluation(late.lease, &outcomes, now).await.unwrap();
    // The second judgement of one device did not know the first, so it does not count either.
    assert_eq!(summary.opened, [for_held.alert_id]);
    assert_eq!(summary.lost, [key(&t, "lost"), key(&t, "held")]);
    let open = db.alerts(&t, &Default::default(), &all()).await.unwrap().items;
    assert_eq!(open.iter().map(|alert| alert.alert_id).collect::<Vec<_>>(), [for_held.alert_id]);
    assert_eq!(db.commit_evaluation(late.lease, &[], now).await.unwrap(), CommitSummary::default());
});

contract!(readings_that_arrive_during_a_lease_stay_due, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let d1 = key(&t, "d1");
    db.append_readings(&[reading(&d1, at(1))]).await.unwrap();
    let batch = db.claim(at(2)).await;
    db.append_readings(&[reading(&d1, at(3)), reading(&d1, at(4))]).await.unwrap();
    let judged = DeviceOutcome { next_check_at: Some(at(1_000)), ..outcome(&batch.devices[0]) };
    db.commit_evaluation(batch.lease, &[judged], at(5)).await.unwrap();
    assert_eq!(db.evaluation_backlog(at(5)).await.unwrap(), Backlog { depth: 1, oldest_at: Some(at(3)) });
    let again = db.claim(at(5)).await;
    assert_eq!(again.devices[0].readings.iter().map(|reading| reading.received_at).collect::<Vec<_>>(), [at(3), at(4)]);
});

contract!(a_reading_during_a_check_for_silence_is_not_overlooked, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let d1 = key(&t, "d1");
    db.append_readings(&[reading(&d1, at(1))]).await.unwrap();
    let batch = db.claim(at(2)).await;
    let judged = DeviceOutcome { next_check_at: Some(at(31)), ..outcome(&batch.devices[0]) };
    db.commit_evaluation(batch.lease, &[judged], at(2)).await.unwrap();

    let check = db.claim(at(31)).await;
    assert_eq!(check.devices[0].readings, []);
    db.append_readings(&[reading(&d1, at(32))]).await.unwrap();
    let stale = DeviceOutcome { status: DeviceStatus::Stale, next_check_at: None, ..outcome(&check.devices[0]) };
    assert_eq!(stale.evaluated_through, None);
    db.commit_evaluation(check.lease, &[stale], at(33)).await.unwrap();
    assert_eq!(db.claim(at(33)).await.devices[0].readings.len(), 1);
});

contract!(a_commit_tells_each_tenants_changes_by_key, |db| {
    let tenants = ["t1", "t2", "t3", "t4"].map(tenant);
    let [losing, ruled, silenced, fine] = &tenants;
    for t in &tenants {
        db.with_devices(t, &["d1"]).await;
    }
    let hot = rule(ruled);
    db.insert_rule(&hot).await.unwrap();
    db.append_readings(&[reading(&key(losing, "d1"), at(1))]).await.unwrap();
    let early = db.claim(at(2)).await;
    let before = alert(silenced, "d1", at(3));
    db.with_alert(&before).await;
    db.append_readings(&tenants[1..].iter().map(|t| reading(&key(t, "d1"), at(20))).collect::<Vec<_>>()).await.unwrap();
    let late = db.claim(at(20)).await;
    let now = at(2) + LEASE;
    assert_eq!(names(&db.claim(now).await), ["d1"], "the first tenant's device is somebody else's now");
    // What happens between the judgement and its commit.
    db.silence_alert(silenced, before.alert_id, at(9_000)).await.unwrap();
    db.close_alert(silenced, before.alert_id, at(21), &Default::default()).await.unwrap();
    db.delete_rule(ruled, hot.rule_id, at(21), &Default::default()).await.unwrap();

    let opened = alert(fine, "d1", at(20));
    let outcomes: Vec<_> = early
        .devices
        .iter()
        .chain(&late.devices)
        .map(|due| {
            let t = &due.key.tenant_id;
            let changes = match t {
                t if t == ruled => vec![open(&rule_alert(&hot, "d1", at(20)))],
                t if t == silenced => vec![close(&before, at(20)), open(&alert(t, "d1", at(20)))],
                t if t == fine => vec![open(&opened)],
                t => vec![open(&alert(t, "d1", at(2)))],
            };
            DeviceOutcome { changes, ..outcome(due) }
        })
        .collect();
    assert_eq!(outcomes.len(), 4);
    let done = db.commit_evaluation(late.lease, &outcomes, now).await.unwrap();
    assert_eq!(done, CommitSummary { opened: vec![opened.alert_id], lost: vec![key(losing, "d1")], ..CommitSummary::default() });
});
