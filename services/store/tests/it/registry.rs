//! Tenants and what they own.

use pulse_domain::alert::{AlertStatus, EventKind};
use pulse_domain::credential::{ApiToken, Role};
use pulse_domain::device::{Device, DeviceStatus, Lifecycle, SYSTEM_TENANT, Tenant};
use pulse_domain::escalation::{Level, Policy, PolicySpec};
use pulse_domain::ids::{IntegrationId, PolicyId, RouteId, RuleId, TenantId, TokenId};
use pulse_domain::integration::Destination;
use pulse_domain::rule::Severity;
use pulse_store::{Cursor, DeviceFilter, DeviceSpec, Error, Page, PageRequest};

use crate::contract;
use crate::fixture::*;

/// Everything that a list says, page by page.
async fn pages<T, F: Future<Output = pulse_store::Result<Page<T>>>>(limit: u32, list: impl Fn(PageRequest) -> F) -> Vec<T> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = list(PageRequest { limit, after }).await.unwrap();
        assert!(page.items.len() <= usize::try_from(limit).unwrap());
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
}

contract!(tenants_are_listed_by_id_without_pulse_itself, |db| {
    for name in ["t2", "t1", "t3"] {
        db.with_tenant(&tenant(name)).await;
    }
    let names: Vec<String> =
        pages(2, async |page| db.tenants(&page).await).await.iter().map(|tenant| tenant.tenant_id.to_string()).collect();
    assert_eq!(names, ["t1", "t2", "t3"]);
    let kept = Tenant { tenant_id: tenant("t1"), name: "Tenant t1".into(), created_at: at(0) };
    assert_eq!(db.tenant(&tenant("t1")).await.unwrap(), Some(kept.clone()));
    assert_eq!(db.tenant(&tenant("t9")).await.unwrap(), None);
    assert!(db.tenant(&tenant(SYSTEM_TENANT)).await.unwrap().is_some());
    for taken in ["t1", SYSTEM_TENANT] {
        let again = Tenant { tenant_id: tenant(taken), ..kept.clone() };
        assert!(matches!(db.insert_tenant(&again).await, Err(Error::Conflict { what: "the tenant" })));
    }
});

contract!(devices_are_registered_all_or_none, |db| {
    let t = tenant("t1");
    let pair = |name| (spec(name), token(name));
    assert!(matches!(db.insert_devices(&t, &[pair("a")], at(1)).await, Err(Error::Missing { what: "the tenant" })));
    db.with_tenant(&t).await;
    db.insert_devices(&t, &[pair("a"), pair("b")], at(1)).await.unwrap();
    db.insert_devices(&t, &[], at(1)).await.unwrap();
    assert!(matches!(db.insert_devices(&t, &[pair("c"), pair("a")], at(2)).await, Err(Error::Conflict { what: "the device" })));
    assert!(matches!(db.insert_devices(&t, &[pair("c"), pair("c")], at(2)).await, Err(Error::Conflict { .. })));
    assert_eq!(db.device(&key(&t, "c")).await.unwrap(), None);
    let kept = Device {
        tenant_id: t.clone(),
        device_id: device("a"),
        site_id: site("s1"),
        device_type: "thermometer".into(),
        group_ids: vec![],
        lifecycle: Lifecycle::Active,
        created_at: at(1),
        status: DeviceStatus::Unknown,
        last_seen: None,
    };
    assert_eq!(db.device(&key(&t, "a")).await.unwrap(), Some(kept));
});

contract!(devices_are_listed_by_id_and_by_what_is_asked, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let mut specs: Vec<DeviceSpec> = ["a", "b", "c", "d", "e"].iter().map(|name| spec(name)).collect();
    specs[1].site_id = site("s2");
    specs[2].lifecycle = Lifecycle::Inactive;
    specs[3].group_ids = vec!["g1".parse().unwrap()];
    let devices: Vec<_> = specs.iter().rev().map(|spec| (spec.clone(), token("x"))).collect();
    db.insert_devices(&t, &devices, at(0)).await.unwrap();
    db.append_readings(&[reading(&key(&t, "e"), at(1))]).await.unwrap();
    db.judge(at(1), "e", vec![]).await;
    let any = DeviceFilter::default;
    for (filter, expected) in [
        (any(), "abcde"),
        (DeviceFilter { site_id: Some(site("s2")), ..any() }, "b"),
        (DeviceFilter { lifecycle: Some(Lifecycle::Inactive), ..any() }, "c"),
        (DeviceFilter { status: Some(DeviceStatus::Online), ..any() }, "e"),
        (DeviceFilter { status: Some(DeviceStatus::Unknown), site_id: Some(site("s1")), ..any() }, "acd"),
        (DeviceFilter { site_id: Some(site("none")), ..any() }, ""),
    ] {
        let found = pages(2, async |page| db.devices(&t, &filter, &page).await).await;
        assert_eq!(found.iter().map(|device| device.device_id.as_str()).collect::<String>(), expected, "{filter:?}");
    }
    let page = db.devices(&t, &any(), &all()).await.unwrap();
    assert_eq!(page.items[3].group_ids, specs[3].group_ids);
    assert_eq!(page.items[4].last_seen, Some(at(1)));
    let bad = PageRequest { limit: 1, after: Some(Cursor("64ff".into())) };
    assert!(matches!(db.devices(&t, &any(), &bad).await, Err(Error::Missing { what: "the cursor" })));
});

contract!(a_device_that_leaves_service_has_its_alerts_closed, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let rule = rule(&t);
    db.insert_rule(&rule).await.unwrap();
    let mine = [alert(&t, "d1", at(1)), rule_alert(&rule, "d1", at(1))];
    let other = alert(&t, "d2", at(1));
    for alert in mine.iter().chain([&other]) {
        db.with_alert(alert).await;
    }
    assert!(db.update_device(&t, &DeviceSpec { site_id: site("s5"), ..spec("d1") }, at(2), &Default::default()).await.unwrap());
    assert_eq!(db.alert(&t, mine[0].alert_id).await.unwrap().unwrap().status, AlertStatus::Open);
    assert_eq!(db.device(&key(&t, "d1")).await.unwrap().unwrap().site_id, site("s5"));

    assert!(db.update_device(&t, &DeviceSpec { lifecycle: Lifecycle::Decommissioned, ..spec("d1") }, at(3), &cause(at(2))).await.unwrap());
    for alert in &mine {
        let closed = db.alert(&t, alert.alert_id).await.unwrap().unwrap();
        assert_eq!((closed.status, closed.closed_at), (AlertStatus::Closed, Some(at(3))));
        let events = db.alert_events(&t, alert.alert_id).await.unwrap();
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Open, EventKind::Closed]);
        assert_eq!((events[1].trace.as_ref(), events[1].origin_at), (Some(&trace()), Some(at(2))), "what closed it");
    }
    assert_eq!(db.alert(&t, other.alert_id).await.unwrap().unwrap().status, AlertStatus::Open);
    assert!(!db.update_device(&t, &spec("none"), at(4), &Default::default()).await.unwrap());
    assert!(!db.set_device_token(&key(&t, "none"), &token("x")).await.unwrap());
});

contract!(a_device_that_is_changed_is_looked_at, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    assert_eq!(db.evaluation_backlog(at(5)).await.unwrap().depth, 0);
    db.update_device(&t, &spec("d1"), at(5), &Default::default()).await.unwrap();
    assert_eq!(db.claim(at(5)).await.devices.len(), 1);
});

contract!(rules_are_kept_as_they_are, |db| {
    let t = tenant("t1");
    let mut one = rule(&t);
    assert!(matches!(db.insert_rule(&one).await, Err(Error::Missing { what: "the tenant" })));
    db.with_tenant(&t).await;
    db.insert_rule(&one).await.unwrap();
    assert!(matches!(db.insert_rule(&one).await, Err(Error::Conflict { what: "the rule" })));
    let two = rule(&t);
    db.insert_rule(&two).await.unwrap();
    assert_eq!(db.rule(&t, one.rule_id).await.unwrap(), Some(one.clone()));
    assert_eq!(pages(1, async |page| db.rules(&t, &page).await).await, [one.clone(), two.clone()]);

    db.set_rule_error(&t, one.rule_id, Some("bad threshold")).await.unwrap();
    assert_eq!(db.rule(&t, one.rule_id).await.unwrap().unwrap().error.as_deref(), Some("bad threshold"));
    one.spec.threshold = Some(0.1);
    one.spec.duration_seconds = 60;
    one.updated_at = at(9);
    assert!(db.update_rule(&one, &Default::default()).await.unwrap());
    assert_eq!(db.rule(&t, one.rule_id).await.unwrap(), Some(one.clone()), "an update clears the error");
    assert!(db.delete_rule(&t, one.rule_id, at(10), &Default::default()).await.unwrap());
    assert!(!db.delete_rule(&t, one.rule_id, at(10), &Default::default()).await.unwrap());
    assert!(!db.update_rule(&one, &Default::default()).await.unwrap());
    assert_eq!(db.rule(&t, RuleId::generate()).await.unwrap(), None);
});

contract!(a_rule_that_goes_takes_its_alerts_with_it, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let (deleted, mut disabled, kept) = (rule(&t), rule(&t), rule(&t));
    for rule in [&deleted, &disabled, &kept] {
        db.insert_rule(rule).await.unwrap();
        for name in ["d1", "d2"] {
            db.with_alert(&rule_alert(rule, name, at(1))).await;
        }
    }
    assert!(db.delete_rule(&t, deleted.rule_id, at(5), &cause(at(4))).await.unwrap());
    (disabled.spec.enabled, disabled.updated_at) = (false, at(6));
    assert!(db.update_rule(&disabled, &cause(at(4))).await.unwrap());
    let alerts = db.alerts(&t, &Default::default(), &all()).await.unwrap().items;
    for (rule, status, closed_at) in
        [(&deleted, AlertStatus::Closed, Some(at(5))), (&disabled, AlertStatus::Closed, Some(at(6))), (&kept, AlertStatus::Open, None)]
    {
        let of_rule: Vec<_> = alerts.iter().filter(|alert| alert.rule_id == Some(rule.rule_id)).collect();
        assert_eq!(of_rule.len(), 2);
        assert!(of_rule.iter().all(|alert| alert.status == status && alert.closed_at == closed_at), "{of_rule:?}");
        for event in db.alert_events(&t, of_rule[0].alert_id).await.unwrap().iter().filter(|event| event.kind == EventKind::Closed) {
            assert_eq!((event.trace.as_ref(), event.origin_at), (Some(&trace()), Some(at(4))), "what closed it");
        }
    }
    assert_eq!(db.dispatch_backlog(at(9)).await.unwrap().depth, 6 + 4);
});

contract!(integrations_are_kept_with_their_secrets, |db| {
    let t = tenant("t1");
    let mut one = webhook(&t);
    assert!(matches!(db.insert_integration(&one).await, Err(Error::Missing { what: "the tenant" })));
    db.with_tenant(&t).await;
    db.insert_integration(&one).await.unwrap();
    assert!(matches!(db.insert_integration(&one).await, Err(Error::Conflict { what: "the integration" })));
    let two = webhook(&t);
    db.insert_integration(&two).await.unwrap();
    assert_eq!(pages(1, async |page| db.integrations(&t, &page).await).await, [one.clone(), two]);
    one.destination = Destination::Slack { url: "https://chat.example.test/secret".into() };
    (one.name, one.enabled) = ("chat".into(), false);
    assert!(db.update_integration(&one).await.unwrap());
    assert_eq!(db.integration(&t, one.integration_id).await.unwrap(), Some(one.clone()));
    assert!(db.delete_integration(&t, one.integration_id, at(1)).await.unwrap());
    assert!(!db.update_integration(&one).await.unwrap());
    assert_eq!(db.integration(&t, IntegrationId::generate()).await.unwrap(), None);
});

contract!(a_route_needs_an_integration_of_its_tenant, |db| {
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    db.with_tenant(&t1).await;
    db.with_tenant(&t2).await;
    let (mine, theirs) = (webhook(&t1), webhook(&t2));
    db.insert_integration(&mine).await.unwrap();
    db.insert_integration(&theirs).await.unwrap();
    for nowhere in [theirs.integration_id, IntegrationId::generate()] {
        assert!(matches!(db.insert_route(&route(&t1, nowhere)).await, Err(Error::Missing { what: "the integration" })));
    }
    let (mut one, two) = (route(&t1, mine.integration_id), route(&t1, mine.integration_id));
    db.insert_route(&one).await.unwrap();
    db.insert_route(&two).await.unwrap();
    assert!(matches!(db.insert_route(&one).await, Err(Error::Conflict { what: "the route" })));
    assert_eq!(pages(1, async |page| db.routes(&t1, &page).await).await, [one.clone(), two.clone()]);

    one.spec.min_severity = Severity::MAX;
    one.spec.deliver_on = vec![EventKind::Open];
    assert!(db.update_route(&one).await.unwrap());
    assert_eq!(db.route(&t1, one.route_id).await.unwrap(), Some(one.clone()));
    let mut astray = one.clone();
    astray.spec.integration_id = theirs.integration_id;
    assert!(matches!(db.update_route(&astray).await, Err(Error::Missing { what: "the integration" })));
    assert!(db.delete_route(&t1, one.route_id).await.unwrap());
    assert!(!db.delete_route(&t1, one.route_id).await.unwrap());
    assert!(!db.update_route(&one).await.unwrap());
    assert_eq!(db.route(&t1, RouteId::generate()).await.unwrap(), None);
});

contract!(policies_are_kept_as_they_are, |db| {
    let t = tenant("t1");
    let policy = || Policy {
        tenant_id: t.clone(),
        policy_id: PolicyId::generate(),
        spec: PolicySpec { name: "night".into(), enabled: true, min_severity: Severity::MIN, levels: vec![Level { after_seconds: 60 }] },
        created_at: at(0),
    };
    let (one, two) = (policy(), policy());
    assert!(matches!(db.insert_policy(&one).await, Err(Error::Missing { what: "the tenant" })));
    db.with_tenant(&t).await;
    db.insert_policy(&one).await.unwrap();
    db.insert_policy(&two).await.unwrap();
    assert!(matches!(db.insert_policy(&one).await, Err(Error::Conflict { what: "the policy" })));
    assert_eq!(pages(1, async |page| db.policies(&t, &page).await).await, [one.clone(), two.clone()]);
    assert!(db.delete_policy(&t, one.policy_id).await.unwrap());
    assert!(!db.delete_policy(&t, one.policy_id).await.unwrap());
    assert_eq!(db.policies(&t, &all()).await.unwrap().items, [two]);
});

contract!(tokens_are_found_by_their_hash, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let api_token = |tenant_id: Option<&TenantId>, role| ApiToken {
        token_id: TokenId::generate(),
        tenant_id: tenant_id.cloned(),
        role,
        name: "ci".into(),
        created_at: at(0),
    };
    let (admin, viewer, operator) = (api_token(Some(&t), Role::Admin), api_token(Some(&t), Role::Viewer), api_token(None, Role::Operator));
    for (api_token, secret) in [(&admin, "a"), (&viewer, "v"), (&operator, "o")] {
        db.insert_token(api_token, &token(secret)).await.unwrap();
    }
    assert_eq!(db.token(&token("v")).await.unwrap(), Some(viewer.clone()));
    assert_eq!(db.token(&token("o")).await.unwrap(), Some(operator.clone()));
    assert_eq!(db.token(&token("x")).await.unwrap(), None);
    assert_eq!(pages(1, async |page| db.tokens(Some(&t), &page).await).await, [admin.clone(), viewer]);
    assert_eq!(pages(1, async |page| db.tokens(None, &page).await).await, std::slice::from_ref(&operator));
    assert!(matches!(db.insert_token(&admin, &token("new")).await, Err(Error::Conflict { what: "the token" })));
    assert!(matches!(db.insert_token(&api_token(None, Role::Operator), &token("a")).await, Err(Error::Conflict { .. })));
    let stray = api_token(Some(&tenant("t9")), Role::Admin);
    assert!(matches!(db.insert_token(&stray, &token("s")).await, Err(Error::Missing { what: "the tenant" })));
    assert!(!db.delete_token(None, admin.token_id).await.unwrap());
    assert!(!db.delete_token(Some(&t), operator.token_id).await.unwrap());
    assert!(db.delete_token(Some(&t), admin.token_id).await.unwrap());
    assert!(db.delete_token(None, operator.token_id).await.unwrap());
    assert_eq!(db.token(&token("a")).await.unwrap(), None);
});
