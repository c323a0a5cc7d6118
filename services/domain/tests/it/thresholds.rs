//! Values against thresholds: when a rule's alert opens, what it says, and when it closes.

use pulse_domain::alert::{AlertStatus, AlertType, Fingerprint};
use pulse_domain::device::Lifecycle;
use pulse_domain::evaluation::{DeviceMemory, RuleSet, Silence};
use pulse_domain::ids::{GroupId, SiteId};
use pulse_domain::reading::ReadingKind;
use pulse_domain::rule::{Rule, Severity};
use pulse_domain::trace::TraceParent;
use serde_json::{Value, json};

use crate::fleet::{World, at, reading, rule, rule_set, short, temp, warm};

/// One judgement of these metrics' readings, one a second, by one rule: what happens.
#[track_caller]
fn check(rule: Rule, readings: &[Value], happens: &str) {
    let readings = readings.iter().enumerate().map(|(second, metrics)| reading(second as f64, metrics.clone())).collect();
    let happened = World::new(&[rule]).happens(10.0, readings);
    assert_eq!(short(&happened), happens);
}

#[test]
fn operators_compare_as_their_names_say() {
    for (operator, below, equal, above) in
        [("GT", "", "", "open"), ("GTE", "", "open", "open"), ("LT", "open", "", ""), ("LTE", "open", "open", "")]
    {
        for (value, happens) in [(79.9, below), (80.0, equal), (80.1, above)] {
            check(warm(json!({"operator": operator})), &[json!({"temp": value})], happens);
        }
    }
}

#[test]
fn every_reading_counts_in_order() {
    let (low, high) = (json!({"temp": 20}), json!({"temp": 90}));
    check(warm(json!({})), std::slice::from_ref(&low), "");
    check(warm(json!({})), &[low.clone(), high.clone(), low.clone()], "open close");
    check(warm(json!({})), &[high.clone(), low.clone(), high.clone()], "open close open");
    check(warm(json!({})), &[high.clone(), high.clone(), high.clone()], "open update");
    check(warm(json!({})), &[high.clone(), high.clone(), low.clone()], "open update close");
    // A reading without the rule's metric says nothing of it.
    check(warm(json!({})), &[high.clone(), json!({"humidity": 3}), json!({})], "open");
    check(warm(json!({"enabled": false})), &[high], "");
}

#[test]
fn truth_values_are_one_and_zero() {
    let open_door = rule(json!({"metric_name": "door", "operator": "GTE", "threshold": 1}));
    check(open_door, &[json!({"door": true}), json!({"door": false})], "open close");
}

#[test]
fn conditions_match_all_or_any_and_remember_the_other_metrics() {
    let conditions = json!([
        {"metric_name": "temp", "operator": "GT", "threshold": 80},
        {"metric_name": "fan", "operator": "LT", "threshold": 10},
    ]);
    let (hot, slow) = (json!({"temp": 90}), json!({"fan": 5}));
    let (cool, fast) = (json!({"temp": 20}), json!({"fan": 50}));
    for (mode, readings, happens) in [
        ("all", vec![hot.clone()], ""),
        ("all", vec![hot.clone(), slow.clone()], "open"),
        ("all", vec![json!({"temp": 90, "fan": 5})], "open"),
        ("all", vec![hot.clone(), slow.clone(), fast.clone()], "open close"),
        ("all", vec![hot.clone(), slow.clone(), json!({"other": 1}), cool.clone()], "open close"),
        ("any", vec![hot.clone()], "open"),
        ("any", vec![fast.clone(), slow.clone()], "open"),
        ("any", vec![hot.clone(), fast], "open update"),
        ("any", vec![hot, slow, cool], "open update"),
    ] {
        check(rule(json!({"conditions": conditions, "match_mode": mode})), &readings, happens);
    }
}

#[test]
fn a_heartbeat_hides_nothing_and_its_metrics_count() {
    let mut world = World::new(&[warm(json!({}))]);
    let beat = |second, metrics| pulse_domain::reading::Reading { kind: ReadingKind::Heartbeat, ..reading(second, metrics) };
    assert_eq!(short(&world.happens(3.0, vec![temp(1.0, 90.0), beat(2.0, json!({}))])), "open");
    assert_eq!(short(&world.happens(5.0, vec![beat(4.0, json!({"temp": 20}))])), "close");
}

#[test]
fn filters_take_in_the_devices_they_name() {
    for (filter, fires) in [
        (json!({"site_ids": ["s1", "s2"]}), true),
        (json!({"site_ids": ["s2"]}), false),
        (json!({"group_ids": ["g2"]}), true),
        (json!({"group_ids": ["g3"]}), false),
        (json!({"device_types": ["freezer"]}), true),
        (json!({"device_types": ["oven"]}), false),
        (json!({"site_ids": ["s1"], "device_types": ["oven"]}), false),
    ] {
        let mut world = World::new(&[warm(filter.clone())]);
        world.device.group_ids = vec![GroupId::parse("g1").unwrap(), GroupId::parse("g2").unwrap()];
        let judgement = world.judge(2.0, vec![temp(1.0, 90.0)]);
        assert_eq!((world.open.len() == 1, judgement.rules_evaluated == 1), (fires, fires), "{filter}");
    }
}

#[test]
fn only_rules_that_name_a_metric_of_the_reading_are_evaluated() {
    let others = (0..50).map(|n| rule(json!({"metric_name": format!("m{n}"), "operator": "GT", "threshold": 0})));
    let rules: Vec<Rule> = others.chain([warm(json!({}))]).collect();
    let judgement =
        World::new(&rules).judge(5.0, vec![temp(1.0, 1.0), reading(2.0, json!({"m3": 0, "m4": 0})), reading(3.0, json!({"x": 1}))]);
    assert_eq!(judgement.rules_evaluated, 3);
}

#[test]
fn an_alert_says_what_is_wrong() {
    let hot = warm(json!({"severity": 5, "conditions": [
        {"metric_name": "fan", "operator": "LT", "threshold": 10},
        {"metric_name": "temp", "operator": "GTE", "threshold": 80.5},
        {"metric_name": "load", "operator": "GT", "threshold": 1e300},
    ], "match_mode": "any"}));
    let mut world = World::new(std::slice::from_ref(&hot));
    let trace = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let mut first = reading(1.0, json!({"temp": 80.5, "fan": 20.0}));
    first.trace = Some(trace.clone());
    world.judge(2.0, vec![first]);
    let alert = &world.open[0];
    assert_eq!(alert.summary, "Too warm on d1: temp 80.5 ≥ 80.5");
    assert_eq!((alert.alert_type, alert.confidence, alert.severity), (AlertType::Threshold, 1.0, Severity::MAX));
    assert_eq!((alert.rule_id, alert.status), (Some(hot.rule_id), AlertStatus::Open));
    assert_eq!(alert.fingerprint.as_str(), format!("RULE:{}:d1", hot.rule_id));
    assert_eq!((alert.created_at, alert.site_id.as_str()), (at(2.0), "s1"));
    assert_eq!((world.causes[0].origin_at, &world.causes[0].trace), (Some(at(1.0)), &Some(trace)));
    let condition = |metric: &str, operator: &str, threshold: f64, value: Value, met: bool| json!({"metric_name": metric, "operator": operator, "threshold": threshold, "duration_seconds": 0, "value": value, "met": met});
    assert_eq!(
        alert.details,
        json!({
            "rule_id": hot.rule_id, "rule_name": "Too warm", "metric_name": "temp", "metric_value": 80.5, "operator": "GTE",
            "threshold": 80.5, "match_mode": "any", "conditions": [
                condition("fan", "LT", 10.0, json!(20.0), false),
                condition("temp", "GTE", 80.5, json!(80.5), true),
                condition("load", "GT", 1e300, Value::Null, false),
            ],
        })
    );
    world.judge(4.0, vec![reading(3.0, json!({"temp": 91.23456, "fan": 0.1 + 0.2, "load": 1.5e300}))]);
    assert_eq!(world.open[0].summary, "Too warm on d1: fan 0.3 < 10 and temp 91.235 ≥ 80.5 and load 1.5e300 > 1e300");
    assert_eq!((world.open[0].created_at, world.open[0].updated_at), (at(2.0), at(4.0)));
}

#[test]
fn rounding_never_hides_the_breach() {
    let mut world = World::new(&[warm(json!({}))]);
    world.judge(2.0, vec![temp(1.0, 80.000_01)]);
    assert_eq!(world.open[0].summary, "Too warm on d1: temp 80.00001 > 80");
}

#[test]
fn an_alert_follows_its_rule() {
    let hot = warm(json!({}));
    let open = || {
        let mut world = World::new(std::slice::from_ref(&hot));
        world.judge(2.0, vec![temp(1.0, 90.0)]);
        world
    };
    let changed = |extra: Value| Rule { rule_id: hot.rule_id, ..warm(extra) };
    for (what, rules, readings, happens) in [
        ("unchanged", vec![hot.clone()], vec![], ""),
        ("deleted", vec![], vec![], "close"),
        ("disabled", vec![changed(json!({"enabled": false}))], vec![], "close"),
        ("made for another site", vec![changed(json!({"site_ids": ["s2"]}))], vec![], "close"),
        ("made for a metric the device never sent", vec![changed(json!({"metric_name": "volts"}))], vec![], "close"),
        ("raised, no reading yet", vec![changed(json!({"threshold": 95}))], vec![], ""),
        ("raised above the next reading", vec![changed(json!({"threshold": 95}))], vec![temp(3.0, 92.0)], "close"),
        ("made more severe", vec![changed(json!({"severity": 5}))], vec![temp(3.0, 92.0)], "update"),
    ] {
        let mut world = open();
        world.rules = rule_set(&rules);
        assert_eq!(short(&world.happens(4.0, readings)), happens, "{what}");
        if let Some(alert) = world.open.first() {
            assert_eq!(alert.severity.get(), if what == "made more severe" { 5 } else { 3 });
        }
    }
}

#[test]
fn a_device_out_of_service_opens_nothing_and_closes_what_is_open() {
    for lifecycle in [Lifecycle::Inactive, Lifecycle::Decommissioned, Lifecycle::Revoked] {
        let mut world = World::new(&[warm(json!({}))]);
        world.judge(2.0, vec![temp(1.0, 90.0)]);
        world.device.lifecycle = lifecycle;
        let judgement = world.judge(4.0, vec![temp(3.0, 95.0)]);
        assert_eq!((short(&world.history).as_str(), judgement.rules_evaluated), ("open close", 0));
        assert_eq!(judgement.outcome.memory, DeviceMemory::default());
        world.device.lifecycle = Lifecycle::Active;
        assert_eq!(short(&world.happens(6.0, vec![temp(5.0, 95.0)])), "open");
    }
}

#[test]
fn a_silenced_fingerprint_opens_nothing_but_closes() {
    let hot = warm(json!({}));
    let mut world = World::new(std::slice::from_ref(&hot));
    let fingerprint = Fingerprint::rule(hot.rule_id, &world.device.key.device_id);
    world.device.silences = vec![Silence { fingerprint, until: at(10.0) }];
    assert_eq!(short(&world.happens(2.0, vec![temp(1.0, 90.0)])), "");
    assert_eq!(short(&world.happens(9.999, vec![temp(9.0, 90.0)])), "");
    assert_eq!(short(&world.happens(10.0, vec![temp(9.9, 90.0)])), "open");
    world.device.silences[0].until = at(100.0);
    assert_eq!(short(&world.happens(12.0, vec![temp(11.0, 90.0), temp(11.5, 20.0)])), "update close");
    world.device.silences[0].fingerprint = Fingerprint::from_stored("RULE:another:d1".to_owned());
    assert_eq!(short(&world.happens(14.0, vec![temp(13.0, 90.0)])), "open");
}

#[test]
fn only_metrics_that_rules_name_are_remembered() {
    let mut world = World::new(&[warm(json!({}))]);
    world.judge(2.0, vec![reading(1.0, json!({"temp": 20, "humidity": 40, "lat": 1.5}))]);
    assert_eq!(world.device.memory.latest.keys().collect::<Vec<_>>(), ["temp"]);
    world.rules = rule_set(&[rule(json!({"metric_name": "humidity", "operator": "GT", "threshold": 1}))]);
    world.judge(3.0, vec![]);
    assert_eq!(world.device.memory, DeviceMemory::default());
}

#[test]
fn a_bad_rule_is_left_out_and_the_others_judge_on() {
    let good = warm(json!({}));
    let nameless = rule(json!({"operator": "GT", "threshold": 1}));
    let mut endless = warm(json!({}));
    endless.spec.threshold = Some(f64::NAN);
    let (set, invalid) = RuleSet::compile(&[nameless.clone(), good, endless.clone()]);
    assert_eq!(set.len(), 1);
    let reasons: Vec<_> = invalid.iter().map(|(rule_id, reason)| (*rule_id, reason.to_string())).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.iter().any(|(id, text)| *id == nameless.rule_id && text.starts_with("metric_name is missing")), "{reasons:?}");
    assert!(reasons.iter().any(|(id, text)| *id == endless.rule_id && text.contains("finite number")), "{reasons:?}");
    let mut world = World::new(&[]);
    world.rules = set;
    assert_eq!(short(&world.happens(2.0, vec![temp(1.0, 90.0)])), "open");
}

#[test]
fn another_site_is_a_site_of_the_registry() {
    let mut world = World::new(&[warm(json!({"site_ids": ["s9"]}))]);
    world.device.site_id = SiteId::parse("s9").unwrap();
    assert_eq!(short(&world.happens(2.0, vec![temp(1.0, 90.0)])), "open");
    assert_eq!(world.open[0].site_id.as_str(), "s9");
}
