//! Judging devices: what a claim brings, and what a judgement changes.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use pulse_domain::alert::{AlertChange, AlertStatus, EventKind};
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{DeviceMemory, DeviceOutcome, OpenAlert, Silence};
use pulse_domain::ids::ReadingId;
use pulse_domain::reading::NewReading;
use pulse_domain::rule::Severity;
use pulse_store::{DueBatch, RulesVersion, Topic};

use crate::contract;
use crate::fixture::*;

fn names(batch: &DueBatch) -> Vec<&str> {
    batch.devices.iter().map(|due| due.key.device_id.as_str()).collect()
}

contract!(a_due_device_comes_with_what_judging_it_takes, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "idle"]).await;
    let rule = rule(&t);
    db.insert_rule(&rule).await.unwrap();
    let moved =
        pulse_store::DeviceSpec { site_id: site("s9"), group_ids: vec!["g1".parse().unwrap(), "g2".parse().unwrap()], ..spec("d1") };
    db.update_device(&t, &moved, at(1), &Default::default()).await.unwrap();
    let (silent, hot) = (alert(&t, "d1", at(2)), rule_alert(&rule, "d1", at(2)));
    db.with_alert(&silent).await;
    db.with_alert(&hot).await;
    db.silence_alert(&t, silent.alert_id, at(50)).await.unwrap();
    db.append_readings(&[reading(&key(&t, "d1"), at(3)), reading(&key(&t, "d1"), at(4))]).await.unwrap();

    let batch = db.claim(at(9)).await;
    assert_eq!(batch.rules, [RulesVersion { tenant_id: t.clone(), version: 1 }]);
    assert_eq!(names(&batch), ["d1"]);
    let due = &batch.devices[0];
    assert_eq!((&due.site_id, &due.group_ids, &*due.device_type), (&site("s9"), &moved.group_ids, "thermometer"));
    assert_eq!((due.lifecycle, due.status, due.last_seen, due.has_more), (Lifecycle::Active, DeviceStatus::Online, Some(at(4)), false));
    assert_eq!(due.readings.iter().map(|reading| reading.received_at).collect::<Vec<_>>(), [at(3), at(4)]);
    let mut open_alerts = due.open_alerts.clone();
    open_alerts.sort_by_key(|open| open.alert_id);
    let expected =
        [&silent, &hot].map(|alert| OpenAlert { alert_id: alert.alert_id, fingerprint: alert.fingerprint.clone(), rule_id: alert.rule_id });
    assert_eq!(open_alerts, expected);
    assert_eq!(due.silences, [Silence { fingerprint: silent.fingerprint, until: at(50) }]);
});

contract!(what_a_judgement_remembers_is_there_at_the_next, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    db.append_readings(&[reading(&key(&t, "d1"), at(1))]).await.unwrap();
    let batch = db.claim(at(2)).await;
    assert_eq!((batch.devices[0].status, &batch.devices[0].memory), (DeviceStatus::Unknown, &DeviceMemory::default()));
    let memory = DeviceMemory {
        latest: BTreeMap::from([("temp \"é\"".to_owned(), 0.1), ("x".to_owned(), -1e300)]),
        breaching_since: BTreeMap::from([("r/0".to_owned(), at(1) + TimeDelta::microseconds(123_456))]),
        sampled_at: BTreeMap::from([("x".to_owned(), at(1))]),
    };
    let judged =
        DeviceOutcome { status: DeviceStatus::Stale, memory: memory.clone(), next_check_at: Some(at(10)), ..outcome(&batch.devices[0]) };
    db.commit_evaluation(batch.lease, &[judged], at(3)).await.unwrap();
    assert_eq!(names(&db.claim(at(9)).await), [""; 0]);
    let again = db.claim(at(10)).await;
    assert_eq!((again.devices[0].status, &again.devices[0].memory), (DeviceStatus::Stale, &memory));
    assert_eq!(again.devices[0].readings, []);
    assert_eq!(again.devices[0].last_seen, Some(at(1)));
    assert_eq!(db.device(&key(&t, "d1")).await.unwrap().unwrap().status, DeviceStatus::Stale);
});

contract!(a_long_backlog_is_read_in_order_piece_by_piece, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let d1 = key(&t, "d1");
    let sent: Vec<NewReading> = (0..10).map(|n| NewReading { seq: Some(n), ..reading(&d1, at(n)) }).collect();
    db.append_readings(&sent).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let batch = db.claim_due_devices(claim(at(20)), 4).await.unwrap();
        let Some(due) = batch.devices.first() else { break };
        seen.extend(due.readings.iter().filter_map(|reading| reading.seq));
        assert_eq!(due.has_more, seen.len() < 10);
        db.commit_evaluation(batch.lease, &[outcome(due)], at(20)).await.unwrap();
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
});

contract!(a_backlog_of_any_length_is_read_in_order_and_in_bounded_pieces, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let (d1, d2) = (key(&t, "d1"), key(&t, "d2"));
    let mut sent = 0;
    // Batches of every size, with another device's readings in between.
    for size in [1, 2, 63, 64, 65, 1, 1, 200, 130, 7, 300, 1].into_iter().cycle().take(30) {
        let batch = (0..size).flat_map(|n| {
            let nth = |key| NewReading { seq: Some(sent + n), ..reading(key, at(0) + TimeDelta::milliseconds(sent + n)) };
            [nth(&d1), nth(&d2)]
        });
        db.append_readings(&batch.collect::<Vec<_>>()).await.unwrap();
        sent += size;
    }
    let mut judged = Vec::new();
    loop {
        let batch = db.claim_due_devices(claim(at(100)), 90).await.unwrap();
        let Some(due) = batch.devices.iter().find(|due| due.key == d1) else { break };
        assert!((1..=90).contains(&due.readings.len()));
        judged.extend(due.readings.iter().filter_map(|reading| reading.seq));
        let next = at(0) + TimeDelta::milliseconds(i64::try_from(judged.len()).unwrap());
        db.commit_evaluation(batch.lease, &batch.devices.iter().map(outcome).collect::<Vec<_>>(), at(100)).await.unwrap();
        let oldest_at = db.evaluation_backlog(at(100)).await.unwrap().oldest_at;
        assert_eq!(oldest_at, due.has_more.then_some(next), "due since the first reading that is left");
    }
    assert_eq!(judged, (0..sent).collect::<Vec<_>>());
});

contract!(a_judgement_never_takes_evaluation_back, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let d1 = key(&t, "d1");
    db.append_readings(&[reading(&d1, at(1))]).await.unwrap();
    let batch = db.claim(at(2)).await;
    db.commit_evaluation(batch.lease, &[outcome(&batch.devices[0])], at(2)).await.unwrap();
    db.append_readings(&[reading(&d1, at(3))]).await.unwrap();
    let batch = db.claim(at(4)).await;
    let judged = DeviceOutcome { evaluated_through: Some(ReadingId(1)), ..outcome(&batch.devices[0]) };
    db.commit_evaluation(batch.lease, &[judged], at(4)).await.unwrap();
    assert_eq!(db.claim(at(5)).await.devices[0].readings.len(), 1);
});

contract!(changes_to_one_fingerprint_take_effect_in_order, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let (old, second, third) = (alert(&t, "d1", at(1)), alert(&t, "d1", at(5)), alert(&t, "d1", at(7)));
    db.with_alert(&old).await;
    db.append_readings(&[reading(&key(&t, "d1"), at(2)), reading(&key(&t, "d2"), at(2))]).await.unwrap();
    let update = |alert: &pulse_domain::alert::Alert, summary: &str, second| AlertChange::Update {
        alert_id: alert.alert_id,
        severity: Severity::new(2).unwrap(),
        summary: summary.into(),
        details: serde_json::json!({"n": second}),
        at: at(second),
    };
    let changes = vec![
        update(&old, "a", 3),
        update(&old, "b", 3),
        close(&old, at(4)),
        open(&second),
        update(&second, "c", 5),
        close(&second, at(6)),
        open(&third),
        // Open already: no second one.
        open(&alert(&t, "d1", at(8))),
        update(&third, "d", 9),
    ];
    let summary = db.judge(at(9), "d1", changes).await;
    assert_eq!(counts(&summary), [2, 4, 2, 0]);

    let life = |events: &[pulse_domain::alert::AlertEvent]| {
        events.iter().map(|event| (event.kind, event.at, event.alert.status, event.alert.summary.clone())).collect::<Vec<_>>()
    };
    let [of_old, of_second, of_third] = [&old, &second, &third].map(|alert| alert.alert_id);
    let events = db.alert_events(&t, of_old).await.unwrap();
    assert_eq!(
        life(&events)[1..],
        [(EventKind::Closed, at(4), AlertStatus::Closed, "b".to_owned())],
        "the event holds the alert as it stands after the change"
    );
    assert_eq!((events[1].origin_at, &events[1].trace), (Some(at(4)), &Some(trace())));
    assert_eq!(
        life(&db.alert_events(&t, of_second).await.unwrap()),
        [
            (EventKind::Open, at(5), AlertStatus::Open, second.summary.clone()),
            (EventKind::Closed, at(6), AlertStatus::Closed, "c".to_owned())
        ]
    );
    assert_eq!(life(&db.alert_events(&t, of_third).await.unwrap()), [(EventKind::Open, at(7), AlertStatus::Open, third.summary.clone())]);
    let open = db.open_alert(&t, &third.fingerprint).await.unwrap().unwrap();
    assert_eq!((open.alert_id, &*open.summary, open.updated_at, open.created_at), (of_third, "d", at(9), at(7)));
    assert_eq!(open.details, serde_json::json!({"n": 9}));

    let queue = db.claim_events(claim(at(10))).await.unwrap().events;
    let order: Vec<_> = queue.iter().map(|event| (event.alert.alert_id, event.kind)).collect();
    let (o, c) = (EventKind::Open, EventKind::Closed);
    assert_eq!(order, [(of_old, o), (of_old, c), (of_second, o), (of_second, c), (of_third, o)]);
});

contract!(nothing_opens_for_a_rule_that_went_between_claim_and_commit, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2", "d3"]).await;
    let (deleted, disabled, kept) = (rule(&t), rule(&t), rule(&t));
    for rule in [&deleted, &disabled, &kept] {
        db.insert_rule(rule).await.unwrap();
    }
    db.append_readings(&[reading(&key(&t, "d1"), at(1))]).await.unwrap();
    let batch = db.claim(at(2)).await;
    assert!(db.delete_rule(&t, deleted.rule_id, at(3), &Default::default()).await.unwrap());
    let mut off = disabled.clone();
    off.spec.enabled = false;
    assert!(db.update_rule(&off, &Default::default()).await.unwrap());
    let changes = [&deleted, &disabled, &kept].map(|rule| open(&rule_alert(rule, "d1", at(2)))).to_vec();
    let judged = DeviceOutcome { changes, ..outcome(&batch.devices[0]) };
    let summary = db.commit_evaluation(batch.lease, &[judged], at(4)).await.unwrap();
    assert_eq!(counts(&summary), [1, 0, 0, 0]);
    let open = db.alerts(&t, &Default::default(), &all()).await.unwrap().items;
    assert_eq!(open.iter().map(|alert| alert.rule_id).collect::<Vec<_>>(), [Some(kept.rule_id)]);
    assert_eq!(db.dispatch_backlog(at(5)).await.unwrap().depth, 1);
});

contract!(nothing_opens_for_a_device_out_of_service, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    for lifecycle in [Lifecycle::Inactive, Lifecycle::Decommissioned, Lifecycle::Revoked] {
        db.append_readings(&[reading(&key(&t, "d1"), at(1))]).await.unwrap();
        db.update_device(&t, &pulse_store::DeviceSpec { lifecycle, ..spec("d1") }, at(1), &Default::default()).await.unwrap();
        assert_eq!(db.judge(at(2), "d1", vec![open(&alert(&t, "d1", at(2)))]).await.opened.len(), 0, "{lifecycle:?}");
    }
    db.update_device(&t, &spec("d1"), at(3), &Default::default()).await.unwrap();
    assert_eq!(db.judge(at(3), "d1", vec![open(&alert(&t, "d1", at(3)))]).await.opened.len(), 1);
});

contract!(nothing_opens_while_silenced, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let first = alert(&t, "d1", at(1));
    db.with_alert(&first).await;
    db.silence_alert(&t, first.alert_id, at(100)).await.unwrap();
    let again = async |second| db.append_readings(&[reading(&key(&t, "d1"), at(second))]).await;
    again(2).await.unwrap();
    assert_eq!(db.judge(at(2), "d1", vec![close(&first, at(2))]).await.closed.len(), 1);
    again(99).await.unwrap();
    assert_eq!(db.judge(at(99), "d1", vec![open(&alert(&t, "d1", at(99)))]).await.opened.len(), 0);
    again(100).await.unwrap();
    let second = alert(&t, "d1", at(100));
    assert_eq!(db.judge(at(100), "d1", vec![open(&second)]).await.opened.len(), 1);
    assert_eq!(db.alert(&t, second.alert_id).await.unwrap().unwrap().silenced_until, None);
});

contract!(rules_are_versioned_by_tenant, |db| {
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    for t in [&t1, &t2] {
        db.with_devices(t, &["d1"]).await;
        db.append_readings(&[reading(&key(t, "d1"), at(1))]).await.unwrap();
    }
    let mut own = rule(&t1);
    let mut now = 1;
    let mut versions = async || {
        now += 100;
        let batch = db.claim(at(now)).await;
        batch.rules.iter().map(|rules| (rules.tenant_id.clone(), rules.version)).collect::<BTreeMap<_, _>>()
    };
    let start = versions().await;
    assert_eq!(start.len(), 2);
    db.insert_rule(&own).await.unwrap();
    let inserted = versions().await;
    own.spec.name = "hotter".into();
    db.update_rule(&own, &Default::default()).await.unwrap();
    let updated = versions().await;
    db.set_rule_error(&t1, own.rule_id, Some("no such metric")).await.unwrap();
    assert_eq!(versions().await, updated, "an error is no change of the rule");
    db.delete_rule(&t1, own.rule_id, at(9), &Default::default()).await.unwrap();
    let deleted = versions().await;
    let of_t1: Vec<i64> = [&start, &inserted, &updated, &deleted].iter().map(|versions| versions[&t1]).collect();
    assert!(of_t1.is_sorted_by(|a, b| a < b), "{of_t1:?}");
    assert_eq!(start[&t2], deleted[&t2]);
});

contract!(rules_of_tenants_are_the_enabled_ones, |db| {
    let (t1, t2, t3) = (tenant("t1"), tenant("t2"), tenant("t3"));
    for t in [&t1, &t2, &t3] {
        db.with_tenant(t).await;
    }
    let (one, mut off, two, three) = (rule(&t1), rule(&t1), rule(&t2), rule(&t3));
    off.spec.enabled = false;
    for rule in [&one, &off, &two, &three] {
        db.insert_rule(rule).await.unwrap();
    }
    assert_eq!(db.rules_of(&[t1, t2]).await.unwrap(), [one, two]);
    assert_eq!(db.rules_of(&[]).await.unwrap(), []);
});

contract!(events_wake_the_dispatcher, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let mut wake = db.wake(Topic::Events);
    wake.arm();
    db.with_alert(&alert(&t, "d1", at(1))).await;
    tokio::time::timeout(Duration::from_secs(5), wake.signalled()).await.unwrap();
});
