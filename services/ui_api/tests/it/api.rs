//! What people do through the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::isolation::furnish;
use crate::service::{Service, body};

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_made_once() {
    let service = Service::start().await;
    let made = service.ok(Method::POST, "/api/v1/tenants", Some(&json!({"tenant_id": "acme", "name": "Acme, Łódź"}))).await;
    assert_eq!(made, service.ok(Method::GET, "/api/v1/tenants/acme", None).await);
    let again = service.call(Method::POST, "/api/v1/tenants", &service.operator, Some(&json!({"tenant_id": "acme"}))).await;
    assert_eq!((again.status.as_u16(), again.problem().as_str()), (409, "CONFLICT"));
    let wrong = service.call(Method::POST, "/api/v1/tenants", &service.operator, Some(&json!({"tenant_id": "_unknown"}))).await;
    assert_eq!((wrong.status.as_u16(), wrong.problem().as_str()), (422, "VALIDATION_FAILED"));
    assert!(wrong.detail().contains("tenant_id must be 1 to 128 characters"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_registered_listed_in_pages_and_changed() {
    let service = Service::start().await;
    service.ok(Method::POST, "/api/v1/tenants", Some(&json!({"tenant_id": "acme"}))).await;
    let devices = "/api/v1/tenants/acme/devices";
    let many: Vec<Value> = (0..25)
        .map(|i| json!({"device_id": format!("d{i:02}"), "site_id": format!("site-{}", i % 2), "device_type": "pump", "group_ids": ["g"]}))
        .collect();
    let made = service.ok(Method::POST, &format!("{devices}/bulk"), Some(&json!({ "devices": many }))).await;
    assert_eq!(made["devices"].as_array().unwrap().len(), 25);
    assert_eq!(made["devices"][7]["device_id"], "d07");
    let again = json!({"devices": [{"device_id": "new", "site_id": "s"}, {"device_id": "d03", "site_id": "s"}]});
    let refused = service.call(Method::POST, &format!("{devices}/bulk"), &service.operator, Some(&again)).await;
    assert_eq!(refused.status.as_u16(), 409);
    let none = service.call(Method::GET, &format!("{devices}/new"), &service.operator, None).await;
    assert_eq!(none.status.as_u16(), 404, "all or none");

    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = service.ok(Method::GET, &format!("{devices}?limit=10&site_id=site-0{after}"), None).await;
        assert!(page["items"].as_array().unwrap().len() <= 10);
        seen.extend(page["items"].as_array().unwrap().iter().map(|device| device["device_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, (0..25).step_by(2).map(|i| format!("d{i:02}")).collect::<Vec<_>>());

    let own = json!({"device_id": "own", "site_id": "s", "token": "a-token-it-carries"});
    assert_eq!(service.ok(Method::POST, devices, Some(&own)).await["token"], "a-token-it-carries");
    let mut expected = service.ok(Method::GET, &format!("{devices}/own"), None).await;
    assert!(expected.get("token").is_none(), "the token is shown once");
    let changed = service.ok(Method::PATCH, &format!("{devices}/own"), Some(&json!({"lifecycle": "INACTIVE", "group_ids": ["a"]}))).await;
    expected["lifecycle"] = "INACTIVE".into();
    expected["group_ids"] = json!(["a"]);
    assert_eq!(changed, expected, "what is left out stays");
    assert_eq!(service.ok(Method::GET, &format!("{devices}/own"), None).await, expected);
    for (wrong, says) in [
        (json!({"device_id": "x", "site_id": "s", "token": "short"}), "16 to 256 visible"),
        (json!({"device_id": "x", "site_id": "s", "device_type": " "}), "device_type"),
        (json!({"device_id": "bulk", "site_id": "s"}), "choose another"),
        (json!({"device_id": "x"}), "missing field `site_id`"),
        (json!({"device_id": "x y", "site_id": "s"}), "device_id must be"),
    ] {
        let refused = service.call(Method::POST, devices, &service.operator, Some(&wrong)).await;
        assert!(refused.status.as_u16() == 422 && refused.detail().contains(says), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_are_history() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    for seq in 0..5 {
        service.send("acme/device/d1", &owner.device_token, body(seq)).await;
    }
    let readings = "/api/v1/tenants/acme/devices/d1/readings";
    let page = service.ok(Method::GET, &format!("{readings}?limit=3"), None).await;
    assert_eq!(page["items"][0]["seq"], 4, "newest first");
    assert_eq!(page["items"][0]["metrics"], json!({"temp": 21.5, "door": true}));
    let rest = service.ok(Method::GET, &format!("{readings}?limit=3&after={}", page["next"].as_str().unwrap()), None).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    let none = service.ok(Method::GET, &format!("{readings}?to=2020-01-01T00:00:00Z"), None).await;
    assert_eq!(none["items"], json!([]));
    let device = service.ok(Method::GET, "/api/v1/tenants/acme/devices/d1", None).await;
    assert!(device["last_seen"].is_string(), "{device}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_routes_and_policies_come_and_go() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let integration = json!({"name": "hook", "destination": {"kind": "webhook", "url": "https://example.com/hook"}});
    let integration = service.ok(Method::POST, "/api/v1/tenants/acme/integrations", Some(&integration)).await;
    let rule = json!({"name": "hot", "severity": 3, "metric_name": "temp", "operator": "GT", "threshold": 80});
    let route = json!({"name": "all", "integration_id": integration["integration_id"]});
    for (path, id, made, changed) in
        [("rules", "rule_id", &rule, ("severity", json!(5))), ("routes", "route_id", &route, ("priority", json!(1)))]
    {
        let path = format!("/api/v1/tenants/acme/{path}");
        let created = service.call(Method::POST, &path, &owner.admin, Some(made)).await;
        assert_eq!(created.status.as_u16(), 201);
        let created = created.json();
        let own = format!("{path}/{}", created[id].as_str().unwrap());
        assert_eq!(service.ok(Method::GET, &own, None).await, created);
        let mut body = made.clone();
        body[changed.0] = changed.1.clone();
        let replaced = service.ok(Method::PUT, &own, Some(&body)).await;
        assert_eq!((&replaced[changed.0], &replaced["created_at"]), (&changed.1, &created["created_at"]));
        assert_eq!(service.ok(Method::GET, &own, None).await, replaced);
        assert_eq!(service.ok(Method::GET, &path, None).await["items"], json!([replaced]));
        assert_eq!(service.call(Method::DELETE, &own, &owner.admin, None).await.status.as_u16(), 204);
        assert_eq!(service.call(Method::DELETE, &own, &owner.admin, None).await.problem(), "NOT_FOUND");
    }
    let policies = "/api/v1/tenants/acme/escalation-policies";
    let policy = json!({"name": "louder", "levels": [{"after_seconds": 60}, {"after_seconds": 600}]});
    let created = service.ok(Method::POST, policies, Some(&policy)).await;
    assert_eq!(service.ok(Method::GET, policies, None).await["items"], json!([created]));
    let wrong = json!({"name": "louder", "levels": [{"after_seconds": 60}, {"after_seconds": 60}]});
    assert_eq!(service.call(Method::POST, policies, &owner.admin, Some(&wrong)).await.problem(), "VALIDATION_FAILED");
    let own = format!("{policies}/{}", created["policy_id"].as_str().unwrap());
    assert_eq!(service.call(Method::DELETE, &own, &owner.admin, None).await.status.as_u16(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn integrations_keep_their_secrets() {
    let service = Service::start().await;
    service.tenant("acme").await;
    let path = "/api/v1/tenants/acme/integrations";
    let body = json!({"name": "hook", "destination": {
        "kind": "webhook", "url": "https://example.com/hook?key=SECRET", "headers": {"Authorization": "SECRET"}, "signing_secret": "generate"
    }});
    let created = service.ok(Method::POST, path, Some(&body)).await;
    let secret = created["signing_secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let own = format!("{path}/{}", created["integration_id"].as_str().unwrap());
    let renamed = json!({"name": "renamed", "enabled": false, "destination": {"kind": "webhook"}});
    let renamed = service.ok(Method::PUT, &own, Some(&renamed)).await;
    assert_eq!(
        (&renamed["name"], &renamed["enabled"], &renamed["destination"]["signed"]),
        (&json!("renamed"), &json!(false), &json!(true))
    );
    for answer in [&created, &renamed, &service.ok(Method::GET, &own, None).await, &service.ok(Method::GET, path, None).await] {
        assert!(!answer.to_string().contains("SECRET"), "{answer}");
    }
    assert!(!service.ok(Method::GET, path, None).await.to_string().contains(secret), "a made secret is shown once");
    let tenant = "acme".parse().unwrap();
    let kept = service.store.integration(&tenant, created["integration_id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let kept = serde_json::to_value(kept.destination).unwrap();
    assert_eq!(kept["headers"], json!({"authorization": "SECRET"}));
    assert_eq!((kept["url"].as_str().unwrap(), kept["signing_secret"].as_str().unwrap()), ("https://example.com/hook?key=SECRET", secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_acknowledged_silenced_and_closed() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let ids = furnish(&service, &owner).await;
    let alert_id = &ids.iter().find(|(name, _)| *name == "alert_id").unwrap().1;
    let alerts = "/api/v1/tenants/acme/alerts";
    let own = format!("{alerts}/{alert_id}");
    let act =
        async |action: &str, body: Option<Value>| service.call(Method::POST, &format!("{own}/{action}"), &owner.admin, body.as_ref()).await;
    for (filter, count) in [("status=OPEN", 1), ("status=CLOSED", 0), ("alert_type=SYSTEM_HEALTH&min_severity=5", 1), ("device_id=d9", 0)] {
        let listed = service.ok(Method::GET, &format!("{alerts}?{filter}"), None).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{filter}");
    }
    let acknowledged = act("acknowledge", None).await.json();
    assert_eq!((&acknowledged["status"], &acknowledged["acknowledged_by"]), (&json!("ACKNOWLEDGED"), &json!("the admin")));
    assert_eq!(act("acknowledge", None).await.json(), acknowledged, "once is enough");
    let silenced = act("silence", Some(json!({"minutes": 30}))).await.json();
    assert!(silenced["silenced_until"].is_string(), "{silenced}");
    assert_eq!(act("silence", Some(json!({}))).await.problem(), "VALIDATION_FAILED");
    assert_eq!(act("close", None).await.json()["status"], "CLOSED");
    assert_eq!(act("close", None).await.status.as_u16(), 200, "closing again changes nothing");
    let late = act("acknowledge", None).await;
    assert_eq!((late.status.as_u16(), late.problem().as_str()), (409, "CONFLICT"));
    let events = service.ok(Method::GET, &format!("{own}/events"), None).await;
    let kinds: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["OPEN", "ACKNOWLEDGED", "CLOSED"]);
    assert!(events["items"][1]["trace"].is_string(), "what people do has a trace too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_replayed_once() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let ids = furnish(&service, &owner).await;
    let job_id = &ids.iter().find(|(name, _)| *name == "job_id").unwrap().1;
    let own = format!("/api/v1/tenants/acme/jobs/{job_id}");
    let job = service.ok(Method::GET, &own, None).await;
    assert_eq!((&job["state"], &job["attempt_log"][0]["http_status"]), (&json!("DEAD"), &json!(410)));
    let listed = service.ok(Method::GET, "/api/v1/tenants/acme/jobs?state=DEAD", None).await;
    assert_eq!(listed["items"][0]["job_id"], job["job_id"]);
    let replayed = service.ok(Method::POST, &format!("{own}/replay"), None).await;
    assert_eq!((&replayed["state"], &replayed["attempts"]), (&json!("PENDING"), &json!(0)));
    let again = service.call(Method::POST, &format!("{own}/replay"), &owner.admin, None).await;
    assert_eq!((again.status.as_u16(), again.problem().as_str()), (409, "CONFLICT"));
    assert!(again.detail().contains("PENDING"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_until_they_are_deleted() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let path = "/api/v1/tenants/acme/tokens";
    let made = service.call(Method::POST, path, &owner.admin, Some(&json!({"name": "Ada", "role": "viewer"}))).await;
    assert_eq!(made.status.as_u16(), 201);
    let made = made.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("pulse_view_"));
    assert_eq!(service.call(Method::GET, "/api/v1/tenants/acme", secret, None).await.status.as_u16(), 200);
    assert!(!service.ok(Method::GET, path, None).await.to_string().contains(secret));
    let operator = service.call(Method::POST, path, &owner.admin, Some(&json!({"name": "x", "role": "operator"}))).await;
    assert_eq!(operator.problem(), "VALIDATION_FAILED", "an admin cannot make operators");
    let own = format!("{path}/{}", made["token_id"].as_str().unwrap());
    assert_eq!(service.call(Method::DELETE, &own, &owner.admin, None).await.status.as_u16(), 204);
    assert_eq!(service.call(Method::GET, "/api/v1/tenants/acme", secret, None).await.status.as_u16(), 401);
    let second = service.ok(Method::POST, "/api/v1/tokens", Some(&json!({"name": "second"}))).await;
    let second_secret = second["secret"].as_str().unwrap();
    assert_eq!(service.call(Method::GET, "/api/v1/tenants", second_secret, None).await.status.as_u16(), 200);
    let own = format!("/api/v1/tokens/{}", second["token_id"].as_str().unwrap());
    assert_eq!(service.call(Method::DELETE, &own, &service.operator, None).await.status.as_u16(), 204);
    assert_eq!(service.call(Method::GET, "/api/v1/tenants", second_secret, None).await.status.as_u16(), 401);
}
