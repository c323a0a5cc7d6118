//! Two who change the same at once: the locks let one wait for the other, in an order in which nobody waits for ever.
//!
//! A connection of the test's holds a row that both need late, so that the one that comes first is in the middle of its transaction when
//! the other one begins.

use pulse_domain::alert::{Alert, AlertChange, AlertStatus, AlertType, Cause, EventKind, Fingerprint};
use pulse_domain::device::{Lifecycle, SYSTEM_TENANT};
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::rule::Rule;
use pulse_store::{AlertFilter, CommitSummary, DeviceSpec, DueBatch, Error, Result};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use super::{execute, until_waiting};
use crate::fixture::*;

/// What a person does to a rule.
type End = fn(&Scene) -> JoinHandle<Result<bool>>;

/// Two devices with a reading each, claimed, and a rule.
struct Scene {
    db: Db,
    rule: Rule,
    batch: DueBatch,
    /// Holds what the test says.
    holder: PgConnection,
}

/// Opening an alert asks for this row last, because of the reference to it; changing a rule makes its version grow last.
const HOLD_TENANT: &str = "BEGIN; SELECT FROM tenants WHERE tenant_id = 't1' FOR UPDATE";

async fn scene() -> Scene {
    let db = Db::postgres().await;
    let t1 = tenant("t1");
    db.with_devices(&t1, &["d1", "d2"]).await;
    let rule = rule(&t1);
    db.insert_rule(&rule).await.unwrap();
    let readings: Vec<_> = ["d1", "d2"].iter().map(|name| reading(&key(&t1, name), at(1))).collect();
    db.append_readings(&readings).await.unwrap();
    let batch = db.claim(at(2)).await;
    assert_eq!(batch.devices.len(), 2);
    let holder = db.server().connect().await;
    Scene { db, rule, batch, holder }
}

impl Scene {
    /// Begins to commit a judgement of the claimed devices in which `device` has these changes.
    fn judge(&self, device: &str, changes: &[AlertChange]) -> JoinHandle<Result<CommitSummary>> {
        let outcomes: Vec<DeviceOutcome> = self
            .batch
            .devices
            .iter()
            .map(|due| {
                let changes = if due.key.device_id.as_str() == device { changes.to_vec() } else { Vec::new() };
                DeviceOutcome { changes, ..outcome(due) }
            })
            .collect();
        let (store, lease) = (self.db.shared(), self.batch.lease);
        tokio::spawn(async move { store.commit_evaluation(lease, &outcomes, at(3)).await })
    }

    fn delete_rule(&self) -> JoinHandle<Result<bool>> {
        let (store, rule) = (self.db.shared(), self.rule.clone());
        tokio::spawn(async move { store.delete_rule(&rule.tenant_id, rule.rule_id, at(4), &Cause::default()).await })
    }

    fn switch_rule_off(&self) -> JoinHandle<Result<bool>> {
        let (store, mut rule) = (self.db.shared(), self.rule.clone());
        rule.spec.enabled = false;
        tokio::spawn(async move { store.update_rule(&rule, &Cause::default()).await })
    }

    fn revoke(&self, device: &str) -> JoinHandle<Result<bool>> {
        let (store, spec) = (self.db.shared(), DeviceSpec { lifecycle: Lifecycle::Revoked, ..spec(device) });
        tokio::spawn(async move { store.update_device(&tenant("t1"), &spec, at(4), &Cause::default()).await })
    }

    async fn hold(&mut self, sql: &str) {
        execute(&mut self.holder, sql).await.unwrap();
    }

    async fn waiting(&mut self, count: i64) {
        until_waiting(&mut self.holder, count).await;
    }

    async fn let_go(&mut self) {
        execute(&mut self.holder, "ROLLBACK").await.unwrap();
    }

    async fn alerts(&self) -> Vec<Alert> {
        self.db.alerts(&tenant("t1"), &AlertFilter::default(), &all()).await.unwrap().items
    }

    /// The alert was opened and closed, with an event of each.
    async fn assert_closed(&self, alert: &Alert) {
        let found = self.db.alert(&alert.tenant_id, alert.alert_id).await.unwrap().unwrap();
        assert_eq!(found.status, AlertStatus::Closed);
        let events = self.db.alert_events(&alert.tenant_id, alert.alert_id).await.unwrap();
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Open, EventKind::Closed]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn whoever_ends_a_rule_closes_the_alert_that_is_being_opened() {
    let ends: [End; 2] = [Scene::delete_rule, Scene::switch_rule_off];
    for end in ends {
        let mut scene = scene().await;
        let alert = rule_alert(&scene.rule, "d1", at(1));
        scene.hold(HOLD_TENANT).await;
        let judged = scene.judge("d1", &[open(&alert)]);
        scene.waiting(1).await;
        let ended = end(&scene);
        scene.waiting(2).await;
        scene.let_go().await;
        assert_eq!(judged.await.unwrap().unwrap().opened.len(), 1);
        assert!(ended.await.unwrap().unwrap());
        scene.assert_closed(&alert).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_rule_that_is_being_ended_opens_nothing() {
    let ends: [End; 2] = [Scene::delete_rule, Scene::switch_rule_off];
    for end in ends {
        let mut scene = scene().await;
        let alert = rule_alert(&scene.rule, "d1", at(1));
        scene.hold(HOLD_TENANT).await;
        let ended = end(&scene);
        scene.waiting(1).await;
        let judged = scene.judge("d1", &[open(&alert)]);
        scene.waiting(2).await;
        scene.let_go().await;
        assert!(ended.await.unwrap().unwrap());
        let summary = judged.await.unwrap().unwrap();
        assert_eq!(counts(&summary), [0; 4], "it is judged, and nothing came of it");
        assert_eq!(scene.alerts().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn an_evaluation_and_the_end_of_a_rule_never_wait_for_each_other() {
    let mut scene = scene().await;
    let (first, second) = (rule_alert(&scene.rule, "d1", at(1)), rule_alert(&scene.rule, "d2", at(3)));
    let judged = scene.judge("d1", &[open(&first)]);
    assert_eq!(judged.await.unwrap().unwrap().opened.len(), 1);
    let readings: Vec<_> = ["d1", "d2"].iter().map(|name| reading(&key(&tenant("t1"), name), at(2))).collect();
    scene.db.append_readings(&readings).await.unwrap();
    scene.batch = scene.db.claim(at(3)).await;
    // One of the rule's alerts closes and another one opens, while the rule is deleted, which closes the first one too.
    scene.hold(&format!("BEGIN; SELECT FROM alerts WHERE alert_id = '{}' FOR UPDATE", first.alert_id.0)).await;
    let store = scene.db.shared();
    let (lease, close_first, open_second) = (scene.batch.lease, close(&first, at(3)), open(&second));
    let outcomes: Vec<_> = (scene.batch.devices.iter())
        .map(|due| {
            let change = if due.key.device_id.as_str() == "d1" { &close_first } else { &open_second };
            DeviceOutcome { changes: vec![change.clone()], ..outcome(due) }
        })
        .collect();
    let judged = tokio::spawn(async move { store.commit_evaluation(lease, &outcomes, at(3)).await });
    scene.waiting(1).await;
    let deleted = scene.delete_rule();
    scene.waiting(2).await;
    scene.let_go().await;
    let summary = judged.await.unwrap().unwrap();
    assert_eq!((summary.closed.len(), summary.opened.len()), (1, 1));
    assert!(deleted.await.unwrap().unwrap());
    scene.assert_closed(&first).await;
    scene.assert_closed(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn whoever_revokes_a_device_closes_the_alert_that_is_being_opened() {
    let mut scene = scene().await;
    let alert = alert(&tenant("t1"), "d1", at(1));
    scene.hold(HOLD_TENANT).await;
    let judged = scene.judge("d1", &[open(&alert)]);
    scene.waiting(1).await;
    let revoked = scene.revoke("d1");
    scene.waiting(2).await;
    scene.let_go().await;
    assert_eq!(judged.await.unwrap().unwrap().opened.len(), 1);
    assert!(revoked.await.unwrap().unwrap());
    scene.assert_closed(&alert).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_device_that_is_being_revoked_opens_nothing() {
    let mut scene = scene().await;
    scene.hold("BEGIN; SELECT FROM devices WHERE tenant_id = 't1' AND device_id = 'd1' FOR UPDATE").await;
    let revoked = scene.revoke("d1");
    scene.waiting(1).await;
    let judged = scene.judge("d1", &[open(&alert(&tenant("t1"), "d1", at(1)))]);
    scene.waiting(2).await;
    scene.let_go().await;
    assert!(revoked.await.unwrap().unwrap());
    assert_eq!(judged.await.unwrap().unwrap().opened.len(), 0);
    assert_eq!(scene.alerts().await, []);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn whoever_silences_an_alert_silences_the_one_that_is_being_opened() {
    let mut scene = scene().await;
    let t1 = tenant("t1");
    let earlier = alert(&t1, "d1", at(1));
    let judged = scene.judge("d1", &[open(&earlier)]);
    assert_eq!(judged.await.unwrap().unwrap().opened.len(), 1);
    scene.db.close_alert(&t1, earlier.alert_id, at(2), &Cause::default()).await.unwrap();
    scene.db.append_readings(&[reading(&key(&t1, "d1"), at(2))]).await.unwrap();
    scene.batch = scene.db.claim(at(3)).await;
    let again = alert(&t1, "d1", at(2));
    scene.hold(HOLD_TENANT).await;
    let judged = scene.judge("d1", &[open(&again)]);
    scene.waiting(1).await;
    let store = scene.db.shared();
    let silenced = tokio::spawn(async move { store.silence_alert(&tenant("t1"), earlier.alert_id, at(99)).await });
    scene.waiting(2).await;
    scene.let_go().await;
    assert_eq!(judged.await.unwrap().unwrap().opened.len(), 1);
    silenced.await.unwrap().unwrap();
    let found = scene.db.alert(&t1, again.alert_id).await.unwrap().unwrap();
    assert_eq!((found.status, found.silenced_until), (AlertStatus::Open, Some(at(99))));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn of_replicas_that_open_the_same_alert_one_does() {
    let db = Db::postgres().await;
    let system = tenant(SYSTEM_TENANT);
    let mut holder = db.server().connect().await;
    execute(&mut holder, &format!("BEGIN; SELECT FROM tenants WHERE tenant_id = '{SYSTEM_TENANT}' FOR UPDATE")).await.unwrap();
    let open_one = || {
        let (store, system) = (db.shared(), system.clone());
        let alert = Alert {
            alert_type: AlertType::SystemHealth,
            fingerprint: Fingerprint::system_health("evaluator"),
            ..alert(&system, "evaluator", at(1))
        };
        tokio::spawn(async move { store.apply_alert_changes(&system, &[open(&alert)], at(1)).await })
    };
    let both = [open_one(), open_one()];
    until_waiting(&mut holder, 2).await;
    execute(&mut holder, "ROLLBACK").await.unwrap();
    let mut opened = 0;
    for one in both {
        opened += one.await.unwrap().unwrap().opened.len();
    }
    assert_eq!(opened, 1);
    let alerts = db.alerts(&system, &AlertFilter::default(), &all()).await.unwrap().items;
    assert_eq!(alerts.len(), 1);
    assert_eq!(db.alert_events(&system, alerts[0].alert_id).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn of_people_who_acknowledge_the_same_alert_one_does() {
    let mut scene = scene().await;
    let alert = alert(&tenant("t1"), "d1", at(1));
    assert_eq!(scene.judge("d1", &[open(&alert)]).await.unwrap().unwrap().opened.len(), 1);
    scene.hold(&format!("BEGIN; SELECT FROM alerts WHERE alert_id = '{}' FOR UPDATE", alert.alert_id.0)).await;
    let acknowledge = |by: &'static str| {
        let (store, alert_id) = (scene.db.shared(), alert.alert_id);
        tokio::spawn(async move { store.acknowledge_alert(&tenant("t1"), alert_id, by, at(4), &Cause::default()).await })
    };
    let both = [acknowledge("ann"), acknowledge("ben")];
    scene.waiting(2).await;
    scene.let_go().await;
    let mut seen = Vec::new();
    for one in both {
        seen.push(one.await.unwrap().unwrap().unwrap().acknowledged_by.unwrap());
    }
    assert_eq!(seen[0], seen[1], "both see who it was");
    let events = scene.db.alert_events(&tenant("t1"), alert.alert_id).await.unwrap();
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Open, EventKind::Acknowledged]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn of_those_who_register_the_same_devices_in_any_order_one_does() {
    let mut scene = scene().await;
    let held = "BEGIN; INSERT INTO devices SELECT tenant_id, 'x', site_id, device_type, group_ids, lifecycle, token_hash, created_at
        FROM devices WHERE device_id = 'd1'";
    scene.hold(held).await;
    let register = |names: [&'static str; 2]| {
        let store = scene.db.shared();
        let devices = names.map(|name| (spec(name), token(name)));
        tokio::spawn(async move { store.insert_devices(&tenant("t1"), &devices, at(4)).await })
    };
    let both = [register(["x", "y"]), register(["y", "x"])];
    scene.waiting(2).await;
    scene.let_go().await;
    let mut ends = Vec::new();
    for one in both {
        ends.push(one.await.unwrap());
    }
    ends.sort_by_key(Result::is_err);
    assert!(matches!(ends[..], [Ok(()), Err(Error::Conflict { what: "the device" })]), "{ends:?}");
}
