//! Tenants neither see nor touch each other: every method that names a tenant, tried with another's ids.

use pulse_domain::alert::{Alert, AlertStatus, Cause};
use pulse_domain::credential::{ApiToken, Role};
use pulse_domain::escalation::{Level, Policy, PolicySpec};
use pulse_domain::ids::{DeviceKey, PolicyId, TenantId, TokenId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, JobState, NewJob, Verdict};
use pulse_domain::route::Route;
use pulse_domain::rule::{Rule, Severity};
use pulse_store::{AlertFilter, AttemptRecord, CommitSummary, DeviceFilter, DeviceSpec, JobFilter, RecordSummary};

use crate::contract;
use crate::fixture::*;

/// A tenant that has one of everything.
pub(crate) struct Estate {
    pub(crate) tenant_id: TenantId,
    device: DeviceKey,
    rule: Rule,
    pub(crate) alert: Alert,
    pub(crate) route: Route,
    policy: Policy,
    token: ApiToken,
}

pub(crate) async fn estate(db: &Db, name: &str) -> Estate {
    let tenant_id = tenant(name);
    db.with_devices(&tenant_id, &["d1"]).await;
    let rule = rule(&tenant_id);
    db.insert_rule(&rule).await.unwrap();
    let route = db.with_route(&tenant_id).await;
    let levels = vec![Level { after_seconds: 1 }];
    let spec = PolicySpec { name: "p".into(), enabled: true, min_severity: Severity::MIN, levels };
    let policy = Policy { tenant_id: tenant_id.clone(), policy_id: PolicyId::generate(), spec, created_at: at(0) };
    db.insert_policy(&policy).await.unwrap();
    let token_id = TokenId::generate();
    let api_token = ApiToken { token_id, tenant_id: Some(tenant_id.clone()), role: Role::Admin, name: "t".into(), created_at: at(0) };
    db.insert_token(&api_token, &token(name)).await.unwrap();
    let device = key(&tenant_id, "d1");
    let alert = rule_alert(&rule, "d1", at(1));
    db.with_alert(&alert).await;
    Estate { device, rule, alert, route, policy, token: api_token, tenant_id }
}

contract!(nobody_reads_what_another_has, |db| {
    let (mine, theirs) = (estate(&db, "t1").await, estate(&db, "t2").await);
    let t = &mine.tenant_id;
    assert_eq!(db.rule(t, theirs.rule.rule_id).await.unwrap(), None);
    assert_eq!(db.rules(t, &all()).await.unwrap().items, std::slice::from_ref(&mine.rule));
    assert_eq!(db.rules_of(std::slice::from_ref(t)).await.unwrap(), std::slice::from_ref(&mine.rule));
    assert_eq!(db.integration(t, theirs.route.spec.integration_id).await.unwrap(), None);
    assert_eq!(db.integrations(t, &all()).await.unwrap().items.len(), 1);
    assert_eq!(db.route(t, theirs.route.route_id).await.unwrap(), None);
    assert_eq!(db.routes(t, &all()).await.unwrap().items, std::slice::from_ref(&mine.route));
    assert_eq!(db.policies(t, &all()).await.unwrap().items, std::slice::from_ref(&mine.policy));
    assert_eq!(db.tokens(Some(t), &all()).await.unwrap().items, std::slice::from_ref(&mine.token));
    assert_eq!(db.tokens(None, &all()).await.unwrap().items, []);
    assert_eq!(db.alert(t, theirs.alert.alert_id).await.unwrap(), None);
    assert_eq!(db.alert_events(t, theirs.alert.alert_id).await.unwrap(), []);
    assert_eq!(db.alerts(t, &AlertFilter::default(), &all()).await.unwrap().items, std::slice::from_ref(&mine.alert));
    assert_eq!(db.open_alert(t, &theirs.alert.fingerprint).await.unwrap(), None);
    let devices = db.devices(t, &DeviceFilter::default(), &all()).await.unwrap().items;
    assert_eq!(devices.iter().map(|device| &device.tenant_id).collect::<Vec<_>>(), [t]);

    // The devices have one name; their readings and tokens are apart.
    db.append_readings(&[reading(&theirs.device, at(5))]).await.unwrap();
    assert_eq!(db.readings(&mine.device, None, None, &all()).await.unwrap().items.len(), 1);
    assert_eq!(db.readings(&theirs.device, None, None, &all()).await.unwrap().items.len(), 2);
    db.set_device_token(&mine.device, &token("mine")).await.unwrap();
    let credentials = db.device_credentials(&[mine.device.clone(), theirs.device.clone()]).await.unwrap();
    assert_eq!(credentials.iter().flatten().map(|known| known.token).collect::<Vec<_>>(), [token("mine"), token("d1")]);
});

contract!(nobody_changes_what_another_has, |db| {
    let (mine, theirs) = (estate(&db, "t1").await, estate(&db, "t2").await);
    let t = &mine.tenant_id;
    let astray = Rule { tenant_id: t.clone(), ..theirs.rule.clone() };
    assert!(!db.update_rule(&astray, &Default::default()).await.unwrap());
    assert!(!db.delete_rule(t, theirs.rule.rule_id, at(9), &Default::default()).await.unwrap());
    db.set_rule_error(t, theirs.rule.rule_id, Some("x")).await.unwrap();
    assert!(!db.update_route(&Route { tenant_id: t.clone(), ..theirs.route.clone() }).await.is_ok_and(|changed| changed));
    assert!(!db.delete_route(t, theirs.route.route_id).await.unwrap());
    let mut integration = db.integration(&theirs.tenant_id, theirs.route.spec.integration_id).await.unwrap().unwrap();
    integration.tenant_id = t.clone();
    assert!(!db.update_integration(&integration).await.unwrap());
    assert!(!db.delete_integration(t, integration.integration_id, at(9)).await.unwrap());
    assert!(!db.delete_policy(t, theirs.policy.policy_id).await.unwrap());
    assert!(!db.delete_token(Some(t), theirs.token.token_id).await.unwrap());
    let id = theirs.alert.alert_id;
    assert_eq!(db.acknowledge_alert(t, id, "x", at(9), &Cause::default()).await.unwrap(), None);
    assert_eq!(db.close_alert(t, id, at(9), &Cause::default()).await.unwrap(), None);
    assert_eq!(db.silence_alert(t, id, at(99)).await.unwrap(), None);
    assert_eq!(db.apply_alert_changes(t, &[close(&theirs.alert, at(9))], at(9)).await.unwrap(), CommitSummary::default());
    assert_eq!(db.escalate(&[(t.clone(), id, 1)], at(9), None).await.unwrap(), 0);

    // The same device name, rule name and fingerprint in one tenant do nothing to the other's.
    assert!(
        db.update_device(t, &DeviceSpec { lifecycle: pulse_domain::device::Lifecycle::Revoked, ..spec("d1") }, at(9), &Default::default())
            .await
            .unwrap()
    );
    assert!(db.delete_rule(t, mine.rule.rule_id, at(9), &Default::default()).await.unwrap());
    assert_eq!(db.alert(&theirs.tenant_id, id).await.unwrap(), Some(theirs.alert.clone()));
    assert_eq!(db.rule(&theirs.tenant_id, theirs.rule.rule_id).await.unwrap(), Some(theirs.rule));
    assert_eq!(db.route(&theirs.tenant_id, theirs.route.route_id).await.unwrap(), Some(theirs.route));
    assert_eq!(db.policies(&theirs.tenant_id, &all()).await.unwrap().items, [theirs.policy]);
    assert_eq!(db.tokens(Some(&theirs.tenant_id), &all()).await.unwrap().items, [theirs.token]);
    assert_eq!(db.device(&theirs.device).await.unwrap().unwrap().lifecycle, pulse_domain::device::Lifecycle::Active);
});

contract!(fingerprints_are_unique_within_a_tenant_only, |db| {
    for name in ["t1", "t2"] {
        let t = tenant(name);
        db.with_devices(&t, &["d1"]).await;
        db.with_alert(&alert(&t, "d1", at(1))).await;
    }
    let silenced = db.alerts(&tenant("t1"), &AlertFilter::default(), &all()).await.unwrap().items.remove(0);
    db.silence_alert(&tenant("t1"), silenced.alert_id, at(99)).await.unwrap();
    let other = db.alerts(&tenant("t2"), &AlertFilter::default(), &all()).await.unwrap().items.remove(0);
    assert_eq!((other.status, other.silenced_until), (AlertStatus::Open, None));
});

contract!(jobs_and_events_are_apart, |db| {
    let (mine, theirs) = (estate(&db, "t1").await, estate(&db, "t2").await);
    let batch = db.claim_events(claim(at(9))).await.unwrap();
    let event = |estate: &Estate| batch.events.iter().find(|event| event.alert == estate.alert).unwrap().event_id;
    // Naming another's event under one's own tenant takes nothing off the queue and makes nothing.
    let astray = [(mine.tenant_id.clone(), event(&theirs))];
    let wrong = NewJob { event_id: event(&theirs), ..job(&mine.route, at(9)) };
    let summary = db.commit_dispatch(batch.lease, &astray, &[wrong], at(9)).await.unwrap();
    assert_eq!((summary.dispatched.len(), summary.jobs), (0, 0));

    let jobs = [&mine, &theirs].map(|estate| NewJob { event_id: event(estate), ..job(&estate.route, at(9)) });
    let events = [&mine, &theirs].map(|estate| (estate.tenant_id.clone(), event(estate)));
    assert_eq!(db.commit_dispatch(batch.lease, &events, &jobs, at(9)).await.unwrap().jobs, 2);
    let (t, their_job) = (&mine.tenant_id, jobs[1].job_id);
    assert_eq!(db.job(t, their_job).await.unwrap(), None);
    assert_eq!(db.jobs(t, &JobFilter::default(), &all()).await.unwrap().items.len(), 1);
    assert_eq!(db.replay_job(t, their_job, at(10)).await.unwrap(), None);
    let claimed = db.claim_jobs(Queue::Integration, claim(at(10)), &[]).await.unwrap();
    assert_eq!(db.release_jobs(claimed.lease, &[(t.clone(), their_job)]).await.unwrap(), 0);
    let attempt =
        Attempt { job_id: their_job, attempt: 1, started_at: at(10), finished_at: at(11), error: None, http_status: None, detail: None };
    let record = AttemptRecord { tenant_id: t.clone(), lease: claimed.lease, attempt, verdict: Verdict::Dead, trace: None };
    assert_eq!(db.record_attempts(&[record], at(11)).await.unwrap(), RecordSummary { lost: vec![0] });
    assert_eq!(db.attempts(&theirs.tenant_id, their_job).await.unwrap(), []);
    assert_eq!(db.job(&theirs.tenant_id, their_job).await.unwrap().unwrap().state, JobState::Leased);
    assert_eq!(db.attempts(t, their_job).await.unwrap(), []);
});
