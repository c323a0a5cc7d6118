//! What is kept as JSON reads back as it was written.

use pulse_domain::escalation::Policy;
use pulse_domain::evaluation::DeviceMemory;
use pulse_domain::ids::{IntegrationId, PolicyId, RouteId, TenantId};
use pulse_domain::route::Route;
use pulse_domain::rule::{Rule, RuleSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fleet::{at, warm};

#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(kept: &T) {
    let text = serde_json::to_string(kept).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *kept, "{text}");
}

#[test]
fn kept_things_read_back() {
    let (tenant_id, created_at) = (TenantId::parse("t1").unwrap(), at(1.25));
    check::<Rule>(&warm(json!({"duration_seconds": 5, "site_ids": ["s1"], "match_mode": "any"})));
    let spec = serde_json::from_value(json!({"name": "all", "integration_id": IntegrationId::generate()})).unwrap();
    check(&Route { tenant_id: tenant_id.clone(), route_id: RouteId::generate(), spec, created_at });
    let spec = serde_json::from_value(json!({"name": "p", "levels": [{"after_seconds": 1}]})).unwrap();
    check(&Policy { tenant_id, policy_id: PolicyId::generate(), spec, created_at });
    check(&DeviceMemory::default());
    check(&DeviceMemory {
        latest: [("temp".to_owned(), 0.1 + 0.2)].into(),
        breaching_since: [("temp GT 80.0".to_owned(), at(0.000_001))].into(),
        sampled_at: [("temp".to_owned(), at(3.0))].into(),
    });
}

#[test]
fn memory_of_an_earlier_version_is_understood() {
    assert_eq!(serde_json::to_string(&DeviceMemory::default()).unwrap(), "{}");
    let memory: DeviceMemory = serde_json::from_value(json!({"latest": {"t": 1}, "something_new": 3})).unwrap();
    assert_eq!(memory.latest["t"], 1.0);
}

#[test]
fn what_a_tenant_writes_has_no_unknown_fields() {
    let good = json!({"name": "r", "severity": 3, "metric_name": "t", "operator": "GT", "threshold": 1});
    assert!(serde_json::from_value::<RuleSpec>(good.clone()).is_ok());
    for (field, value, says) in [
        ("treshold", json!(1), "unknown field `treshold`"),
        ("severity", json!(6), "1 to 5"),
        ("severity", json!(0), "1 to 5"),
        ("operator", json!(">"), "unknown variant"),
        ("match_mode", json!("ANY"), "unknown variant"),
        ("site_ids", json!(["a b"]), "site_id must be"),
        ("duration_seconds", json!(-1), "invalid value"),
        ("conditions", json!([{"metric_name": "t"}]), "missing field"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let error = serde_json::from_value::<RuleSpec>(bad).unwrap_err().to_string();
        assert!(error.contains(says), "{field}: {error}");
    }
    assert!(serde_json::from_value::<RuleSpec>(Value::Null).is_err());
}
