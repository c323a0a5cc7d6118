//! Every method that the API calls works in the API's role, which row-level security keeps to one tenant a transaction.

use pulse_domain::alert::{AlertStatus, Cause};
use pulse_domain::credential::{ApiToken, Role};
use pulse_domain::device::{Lifecycle, Tenant};
use pulse_domain::escalation::{Level, Policy, PolicySpec};
use pulse_domain::evaluation::IngestProgress;
use pulse_domain::ids::{PolicyId, TenantId, TokenId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, JobState, NewJob, Verdict};
use pulse_domain::rule::Severity;
use pulse_store::{AlertFilter, AttemptRecord, DeviceFilter, DeviceSpec, JobFilter, SharedStore, Topic};

use crate::fixture::*;

/// The workers' store of a database, the API's, and a tenant that the API has made.
async fn stores() -> (Db, SharedStore, TenantId) {
    let db = Db::postgres().await;
    let api = db.server().store_of("pulse_api").await;
    let t1 = tenant("t1");
    api.insert_tenant(&Tenant { tenant_id: t1.clone(), name: "One".into(), created_at: at(0) }).await.unwrap();
    api.insert_devices(&t1, &[(spec("d1"), token("d1")), (spec("d2"), token("d2"))], at(0)).await.unwrap();
    (db, api, t1)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn tenants_devices_and_readings() {
    let (db, api, t1) = stores().await;
    api.ping().await.unwrap();
    assert_eq!(api.tenant(&t1).await.unwrap().unwrap().name, "One");
    db.with_tenant(&tenant("t2")).await;
    assert_eq!(api.tenants(&all()).await.unwrap().items.len(), 2);
    let d1 = key(&t1, "d1");
    assert!(api.device(&d1).await.unwrap().is_some());
    assert_eq!(api.devices(&t1, &DeviceFilter::default(), &all()).await.unwrap().items.len(), 2);
    assert!(api.set_device_token(&d1, &token("new")).await.unwrap());
    let credentials = api.device_credentials(&[d1.clone(), key(&t1, "d9")]).await.unwrap();
    assert_eq!(credentials.iter().map(|known| known.as_ref().map(|known| known.token)).collect::<Vec<_>>(), [Some(token("new")), None]);

    let mut wake = db.wake(Topic::Readings);
    wake.arm();
    api.append_readings(&[reading(&d1, at(1)), reading(&key(&t1, "d2"), at(1))]).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), wake.signalled()).await.unwrap();
    assert_eq!(api.readings(&d1, None, None, &all()).await.unwrap().items.len(), 1);
    let progress = IngestProgress { up_since: at(0), durable_through: at(1) };
    for now in [at(1), at(2)] {
        api.report_ingest_progress("api-1", progress, now).await.unwrap();
    }
    assert_eq!(db.claim(at(2)).await.devices.len(), 2, "the evaluator finds them due");
    assert_eq!(api.fleet().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn rules_and_alerts() {
    let (db, api, t1) = stores().await;
    let mut rule = rule(&t1);
    api.insert_rule(&rule).await.unwrap();
    rule.spec.name = "hotter".into();
    assert!(api.update_rule(&rule, &Cause::default()).await.unwrap());
    assert_eq!(api.rule(&t1, rule.rule_id).await.unwrap().unwrap().spec.name, "hotter");
    assert_eq!(api.rules(&t1, &all()).await.unwrap().items.len(), 1);

    let (of_rule, silent) = (rule_alert(&rule, "d1", at(1)), alert(&t1, "d2", at(2)));
    db.with_alert(&of_rule).await;
    db.with_alert(&silent).await;
    let find = async |alert_id| api.alert(&t1, alert_id).await.unwrap().unwrap();
    assert_eq!(api.alerts(&t1, &AlertFilter::default(), &all()).await.unwrap().items.len(), 2);
    api.acknowledge_alert(&t1, silent.alert_id, "ann", at(3), &cause(at(3))).await.unwrap();
    assert_eq!(find(silent.alert_id).await.status, AlertStatus::Acknowledged);
    api.silence_alert(&t1, silent.alert_id, at(99)).await.unwrap();
    assert_eq!(find(silent.alert_id).await.silenced_until, Some(at(99)));
    api.close_alert(&t1, silent.alert_id, at(4), &cause(at(4))).await.unwrap();
    assert_eq!(api.alert_events(&t1, silent.alert_id).await.unwrap().len(), 3);
    assert!(api.delete_rule(&t1, rule.rule_id, at(5), &cause(at(5))).await.unwrap());
    assert_eq!(find(of_rule.alert_id).await.status, AlertStatus::Closed);

    let again = alert(&t1, "d1", at(6));
    db.with_alert(&again).await;
    let revoked = DeviceSpec { lifecycle: Lifecycle::Revoked, ..spec("d1") };
    assert!(api.update_device(&t1, &revoked, at(7), &cause(at(7))).await.unwrap());
    assert_eq!(find(again.alert_id).await.status, AlertStatus::Closed);
    assert_eq!(db.claim_events(claim(at(9))).await.unwrap().events.len(), 7, "the dispatcher gets every event");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn policies_and_tokens() {
    let (_db, api, t1) = stores().await;
    let levels = vec![Level { after_seconds: 1 }];
    let spec = PolicySpec { name: "p".into(), enabled: true, min_severity: Severity::MIN, levels };
    let policy = Policy { tenant_id: t1.clone(), policy_id: PolicyId::generate(), spec, created_at: at(0) };
    api.insert_policy(&policy).await.unwrap();
    assert_eq!(api.policies(&t1, &all()).await.unwrap().items, std::slice::from_ref(&policy));
    assert!(api.delete_policy(&t1, policy.policy_id).await.unwrap());

    for (secret, tenant_id, role) in [("admin", Some(&t1), Role::Admin), ("operator", None, Role::Operator)] {
        let made = ApiToken { token_id: TokenId::generate(), tenant_id: tenant_id.cloned(), role, name: secret.into(), created_at: at(0) };
        api.insert_token(&made, &token(secret)).await.unwrap();
        assert_eq!(api.token(&token(secret)).await.unwrap(), Some(made.clone()));
        assert_eq!(api.tokens(tenant_id, &all()).await.unwrap().items, std::slice::from_ref(&made));
        assert!(api.delete_token(tenant_id, made.token_id).await.unwrap());
        assert_eq!(api.token(&token(secret)).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn integrations_routes_and_jobs() {
    let (db, api, t1) = stores().await;
    let mut integration = webhook(&t1);
    api.insert_integration(&integration).await.unwrap();
    integration.name = "hooks".into();
    assert!(api.update_integration(&integration).await.unwrap());
    assert_eq!(api.integration(&t1, integration.integration_id).await.unwrap().as_ref(), Some(&integration));
    assert_eq!(api.integrations(&t1, &all()).await.unwrap().items.len(), 1);
    let (mut first, second) = (route(&t1, integration.integration_id), route(&t1, integration.integration_id));
    api.insert_route(&first).await.unwrap();
    api.insert_route(&second).await.unwrap();
    first.spec.name = "most".into();
    assert!(api.update_route(&first).await.unwrap());
    assert_eq!(api.route(&t1, first.route_id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(api.routes(&t1, &all()).await.unwrap().items.len(), 2);

    db.with_alert(&alert(&t1, "d1", at(1))).await;
    let events = db.claim_events(claim(at(2))).await.unwrap();
    let event_id = events.events[0].event_id;
    let jobs = [NewJob { event_id, ..job(&first, at(2)) }, NewJob { event_id, run_at: at(500), ..job(&second, at(2)) }];
    db.commit_dispatch(events.lease, &[(t1.clone(), event_id)], &jobs, at(2)).await.unwrap();
    let claimed = db.claim_jobs(Queue::Integration, claim(at(3)), &[]).await.unwrap();
    let attempt =
        Attempt { job_id: jobs[0].job_id, attempt: 1, started_at: at(3), finished_at: at(4), error: None, http_status: None, detail: None };
    let record = AttemptRecord { tenant_id: t1.clone(), lease: claimed.lease, attempt, verdict: Verdict::Dead, trace: None };
    assert_eq!(db.record_attempts(&[record], at(4)).await.unwrap().lost, [0; 0]);

    assert_eq!(api.jobs(&t1, &JobFilter::default(), &all()).await.unwrap().items.len(), 2);
    let state = async |n: usize| api.job(&t1, jobs[n].job_id).await.unwrap().unwrap().state;
    assert_eq!((state(0).await, state(1).await), (JobState::Dead, JobState::Pending));
    assert_eq!(api.attempts(&t1, jobs[0].job_id).await.unwrap().len(), 1);
    assert!(api.replay_job(&t1, jobs[0].job_id, at(5)).await.unwrap().is_some());
    assert_eq!(state(0).await, JobState::Pending);

    assert!(api.delete_route(&t1, second.route_id).await.unwrap());
    assert!(api.delete_integration(&t1, integration.integration_id, at(6)).await.unwrap());
    assert_eq!((state(0).await, state(1).await), (JobState::Dead, JobState::Dead));
    assert_eq!(api.routes(&t1, &all()).await.unwrap().items, [], "they go with their integration");
}
