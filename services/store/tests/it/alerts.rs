//! Alerts as people and health checks handle them.

use pulse_domain::alert::{AlertChange, AlertEvent, AlertStatus, AlertType, Cause, EventKind, Fingerprint};
use pulse_domain::device::{DeviceStatus, Lifecycle, SYSTEM_TENANT};
use pulse_domain::ids::AlertId;
use pulse_domain::rule::Severity;
use pulse_store::{AlertFilter, CommitSummary, Cursor, Error, PageRequest, TenantFleet};

use crate::contract;
use crate::fixture::*;

fn kinds(events: &[AlertEvent]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

contract!(an_alert_is_kept_as_it_was_opened, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let rule = rule(&t);
    db.insert_rule(&rule).await.unwrap();
    let mut opened = rule_alert(&rule, "d1", at(1));
    opened.confidence = 0.1 + 0.2;
    opened.details = serde_json::json!({"list": [1, 2.5, null, {"a": "\"quoted\" \u{1F600}"}], "n": 1e-7});
    opened.summary = "a\u{1}b \u{7f} \u{2028} 'quoted' \\ \"both\"\r\n\t".into();
    db.with_alert(&opened).await;
    assert_eq!(db.alert(&t, opened.alert_id).await.unwrap(), Some(opened.clone()));
    assert_eq!(db.open_alert(&t, &opened.fingerprint).await.unwrap(), Some(opened.clone()));
    let events = db.alert_events(&t, opened.alert_id).await.unwrap();
    assert_eq!(events.len(), 1);
    let AlertEvent { kind, at: when, origin_at, trace: traced, alert, .. } = &events[0];
    assert_eq!((*kind, *when, *origin_at, traced.as_ref(), alert), (EventKind::Open, at(1), Some(at(1)), Some(&trace()), &opened));
    assert_eq!(db.alert(&t, AlertId::generate()).await.unwrap(), None);
    assert_eq!(db.open_alert(&t, &Fingerprint::system_health("x")).await.unwrap(), None);
});

contract!(an_alert_is_acknowledged_once, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let opened = alert(&t, "d1", at(1));
    db.with_alert(&opened).await;
    let done = db.acknowledge_alert(&t, opened.alert_id, "ann", at(2), &cause(at(2))).await.unwrap().unwrap();
    assert_eq!((done.status, done.acknowledged_at, done.acknowledged_by.as_deref()), (AlertStatus::Acknowledged, Some(at(2)), Some("ann")));
    assert_eq!(done.updated_at, at(2));
    let again = db.acknowledge_alert(&t, opened.alert_id, "bob", at(3), &Cause::default()).await.unwrap();
    assert_eq!(again, Some(done.clone()));
    let events = db.alert_events(&t, opened.alert_id).await.unwrap();
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Acknowledged]);
    assert_eq!((events[1].origin_at, events[1].trace.clone(), &events[1].alert), (Some(at(2)), Some(trace()), &done));
    // It is still the one alert of its fingerprint.
    db.append_readings(&[reading(&key(&t, "d1"), at(4))]).await.unwrap();
    assert_eq!(db.judge(at(4), "d1", vec![open(&alert(&t, "d1", at(4)))]).await.opened, []);
    assert_eq!(db.acknowledge_alert(&t, AlertId::generate(), "ann", at(2), &Cause::default()).await.unwrap(), None);
});

contract!(an_alert_is_closed_once_and_may_open_again, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let opened = alert(&t, "d1", at(1));
    db.with_alert(&opened).await;
    let closed = db.close_alert(&t, opened.alert_id, at(2), &cause(at(2))).await.unwrap().unwrap();
    assert_eq!((closed.status, closed.closed_at, closed.updated_at), (AlertStatus::Closed, Some(at(2)), at(2)));
    assert_eq!(db.close_alert(&t, opened.alert_id, at(3), &Cause::default()).await.unwrap(), Some(closed.clone()));
    assert_eq!(db.acknowledge_alert(&t, opened.alert_id, "ann", at(3), &Cause::default()).await.unwrap(), Some(closed));
    assert_eq!(kinds(&db.alert_events(&t, opened.alert_id).await.unwrap()), [EventKind::Open, EventKind::Closed]);
    assert_eq!(db.open_alert(&t, &opened.fingerprint).await.unwrap(), None);
    db.with_alert(&alert(&t, "d1", at(4))).await;
    assert_eq!(db.close_alert(&t, AlertId::generate(), at(5), &Cause::default()).await.unwrap(), None);
});

contract!(a_silence_is_no_event_and_outlives_its_alert, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let opened = alert(&t, "d1", at(1));
    db.with_alert(&opened).await;
    let silenced = db.silence_alert(&t, opened.alert_id, at(50)).await.unwrap().unwrap();
    assert_eq!((silenced.status, silenced.silenced_until), (AlertStatus::Open, Some(at(50))));
    let longer = db.silence_alert(&t, opened.alert_id, at(60)).await.unwrap().unwrap();
    assert_eq!(longer.silenced_until, Some(at(60)));
    assert_eq!(kinds(&db.alert_events(&t, opened.alert_id).await.unwrap()), [EventKind::Open]);
    db.close_alert(&t, opened.alert_id, at(2), &Cause::default()).await.unwrap();
    db.append_readings(&[reading(&key(&t, "d1"), at(59))]).await.unwrap();
    assert_eq!(db.claim(at(59)).await.devices[0].silences.len(), 1);
    assert_eq!(db.silence_alert(&t, AlertId::generate(), at(50)).await.unwrap(), None);
});

contract!(alerts_are_listed_newest_first_by_what_is_asked, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2", "d3"]).await;
    let rule = rule(&t);
    db.insert_rule(&rule).await.unwrap();
    let first = alert(&t, "d1", at(1));
    let mut severe = rule_alert(&rule, "d2", at(2));
    severe.severity = Severity::MAX;
    let alerts = [first, severe, alert(&t, "d3", at(3))];
    for alert in &alerts {
        db.with_alert(alert).await;
    }
    db.close_alert(&t, alerts[0].alert_id, at(4), &Cause::default()).await.unwrap();
    let any = AlertFilter::default();
    for (filter, expected) in [
        (any.clone(), vec![2, 1, 0]),
        (AlertFilter { status: Some(AlertStatus::Open), ..any.clone() }, vec![2, 1]),
        (AlertFilter { status: Some(AlertStatus::Closed), ..any.clone() }, vec![0]),
        (AlertFilter { status: Some(AlertStatus::Acknowledged), ..any.clone() }, vec![]),
        (AlertFilter { alert_type: Some(AlertType::Threshold), ..any.clone() }, vec![1]),
        (AlertFilter { min_severity: Some(Severity::new(4).unwrap()), ..any.clone() }, vec![1]),
        (AlertFilter { device_id: Some(device("d3")), ..any.clone() }, vec![2]),
        (AlertFilter { device_id: Some(device("d3")), status: Some(AlertStatus::Closed), ..any.clone() }, vec![]),
    ] {
        let page = db.alerts(&t, &filter, &all()).await.unwrap();
        let found: Vec<AlertId> = page.items.iter().map(|alert| alert.alert_id).collect();
        assert_eq!(found, expected.iter().map(|place: &usize| alerts[*place].alert_id).collect::<Vec<_>>(), "{filter:?}");
    }
    let first = db.alerts(&t, &any, &PageRequest { limit: 2, after: None }).await.unwrap();
    let rest = db.alerts(&t, &any, &PageRequest { limit: 2, after: first.next }).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (2, 1, None));
    let bad = PageRequest { limit: 2, after: Some(Cursor("nonsense".into())) };
    assert!(matches!(db.alerts(&t, &any, &bad).await, Err(Error::Missing { what: "the cursor" })));
});

contract!(health_alerts_belong_to_pulse_itself, |db| {
    let system = tenant(SYSTEM_TENANT);
    let mut down = alert(&system, "evaluator", at(1));
    (down.alert_type, down.fingerprint) = (AlertType::SystemHealth, Fingerprint::system_health("evaluator"));
    let summary = db.apply_alert_changes(&system, &[open(&down), open(&down)], at(1)).await.unwrap();
    assert_eq!(summary, CommitSummary { opened: vec![down.alert_id], ..CommitSummary::default() });
    assert_eq!(db.open_alert(&system, &down.fingerprint).await.unwrap(), Some(down.clone()));
    let update = AlertChange::Update {
        alert_id: down.alert_id,
        severity: Severity::MAX,
        summary: "still down".into(),
        details: serde_json::json!({}),
        at: at(2),
    };
    let summary = db.apply_alert_changes(&system, &[update, close(&down, at(3))], at(3)).await.unwrap();
    let own = vec![down.alert_id];
    assert_eq!(summary, CommitSummary { updated: own.clone(), closed: own, ..CommitSummary::default() });
    assert_eq!(kinds(&db.alert_events(&system, down.alert_id).await.unwrap()), [EventKind::Open, EventKind::Closed]);
    // Only what belongs to Pulse itself needs no device.
    let t = tenant("t1");
    db.with_tenant(&t).await;
    assert_eq!(db.apply_alert_changes(&t, &[open(&alert(&t, "nobody", at(1)))], at(1)).await.unwrap(), CommitSummary::default());
});

contract!(one_alert_opens_per_fingerprint_however_many_try, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let tries: Vec<_> = (0..16)
        .map(|_| {
            let (store, tenant_id) = (db.shared(), t.clone());
            tokio::spawn(async move {
                let change = [open(&alert(&tenant_id, "d1", at(1)))];
                store.apply_alert_changes(&tenant_id, &change, at(1)).await.unwrap().opened.len()
            })
        })
        .collect();
    let mut opened = 0;
    for attempt in tries {
        opened += attempt.await.unwrap();
    }
    assert_eq!(opened, 1);
    assert_eq!(db.alerts(&t, &AlertFilter::default(), &all()).await.unwrap().items.len(), 1);
    assert_eq!(db.claim_events(claim(at(2))).await.unwrap().events.len(), 1);
});

contract!(a_change_to_an_alert_happens_once_however_many_try, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let opened = alert(&t, "d1", at(1));
    db.with_alert(&opened).await;
    let tries: Vec<_> = (0..16)
        .map(|n| {
            let (store, tenant_id, alert_id) = (db.shared(), t.clone(), opened.alert_id);
            tokio::spawn(async move {
                let by = format!("person-{n}");
                store.acknowledge_alert(&tenant_id, alert_id, &by, at(2), &Cause::default()).await.unwrap();
                store.close_alert(&tenant_id, alert_id, at(3), &Cause::default()).await.unwrap();
            })
        })
        .collect();
    for attempt in tries {
        attempt.await.unwrap();
    }
    let events = db.alert_events(&t, opened.alert_id).await.unwrap();
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Acknowledged, EventKind::Closed]);
});

contract!(the_fleet_is_counted_by_tenant_with_zeros, |db| {
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    db.with_devices(&t1, &["d1", "d2", "d3", "gone"]).await;
    db.with_tenant(&t2).await;
    let opened = [alert(&t1, "d1", at(1)), alert(&t1, "d2", at(1)), alert(&t1, "d3", at(1))];
    for alert in &opened {
        db.with_alert(alert).await;
    }
    db.acknowledge_alert(&t1, opened[0].alert_id, "ann", at(2), &Cause::default()).await.unwrap();
    db.close_alert(&t1, opened[1].alert_id, at(2), &Cause::default()).await.unwrap();
    let gone = pulse_store::DeviceSpec { lifecycle: Lifecycle::Decommissioned, ..spec("gone") };
    db.update_device(&t1, &gone, at(2), &Default::default()).await.unwrap();
    let fleet = |tenant_id, active_alerts, online| TenantFleet {
        tenant_id,
        active_alerts,
        devices_by_status: vec![(DeviceStatus::Unknown, 0), (DeviceStatus::Online, online), (DeviceStatus::Stale, 0)],
    };
    assert_eq!(db.fleet().await.unwrap(), [fleet(tenant(SYSTEM_TENANT), 0, 0), fleet(t1, 2, 3), fleet(t2, 0, 0)]);
});
