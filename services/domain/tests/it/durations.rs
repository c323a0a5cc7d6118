//! Conditions that must hold for a while: every sample over the whole window breaches, and the window is covered.

use pulse_domain::reading::Reading;
use pulse_domain::rule::Rule;
use serde_json::{Value, json};

use crate::fleet::{World, at, reading, rule, rule_set, short, temp, warm};

const DAY: f64 = 86_400.0;

fn minute(extra: Value) -> Rule {
    let mut rule = warm(extra);
    rule.spec.duration_seconds = 60;
    rule
}

/// Readings of `temp` at the device's seconds, received at the same time: what happens at each.
#[track_caller]
fn check(samples: &[(f64, f64)], happens: &[&str]) {
    let mut world = World::new(&[minute(json!({}))]);
    let happened: Vec<String> =
        samples.iter().map(|(second, value)| short(&world.happens(second + 0.1, vec![temp(*second, *value)]))).collect();
    assert_eq!(happened, happens, "{samples:?}");
}

#[test]
fn a_duration_holds_when_the_whole_window_breaches() {
    check(&[(0.0, 90.0), (59.9, 90.0)], &["", ""]);
    check(&[(0.0, 90.0), (30.0, 90.0), (60.0, 90.0)], &["", "", "open"]);
    check(&[(0.0, 90.0), (30.0, 20.0), (60.0, 90.0), (119.0, 90.0), (120.0, 90.0)], &["", "", "", "", "open"]);
    check(&[(0.0, 90.0), (60.0, 90.0), (70.0, 90.0), (80.0, 20.0), (90.0, 90.0)], &["", "open", "update", "close", ""]);
    check(&[(0.0, 20.0), (60.0, 90.0)], &["", ""]);
}

#[test]
fn one_sample_never_covers_a_window() {
    check(&[(0.0, 90.0)], &[""]);
    // Nor does one that is repeated by readings of other metrics.
    let both = rule(json!({"conditions": [
        {"metric_name": "temp", "operator": "GT", "threshold": 80, "duration_seconds": 60},
        {"metric_name": "door", "operator": "GTE", "threshold": 1},
    ]}));
    let mut world = World::new(&[both]);
    let door = |second| reading(second, json!({"door": true}));
    assert_eq!(short(&world.happens(1.0, vec![temp(0.0, 90.0), door(1.0)])), "");
    assert_eq!(short(&world.happens(100.0, vec![door(100.0)])), "");
    assert_eq!(short(&world.happens(110.0, vec![temp(110.0, 90.0)])), "open");
    assert_eq!(short(&world.happens(120.0, vec![reading(120.0, json!({"door": false}))])), "close");
    assert_eq!(short(&world.happens(121.0, vec![door(121.0)])), "open", "the window is covered still");
}

#[test]
fn the_device_s_time_counts_but_never_beyond_its_receipt_nor_backwards() {
    let received = |second: f64, ts: f64| Reading { ts: at(ts), ..temp(second, 90.0) };
    for (what, readings, happens) in [
        ("a buffered minute that arrives at once", vec![received(100.0, 0.0), received(100.1, 60.0)], "open"),
        ("a clock that runs ahead", vec![received(0.0, 0.0), received(1.0, 3_600.0)], ""),
        ("a late sample neither ends nor lengthens the run", vec![received(100.0, 40.0), received(101.0, 0.0), received(102.0, 99.0)], ""),
        ("a late sample in a run that holds", vec![received(100.0, 0.0), received(101.0, 60.0), received(102.0, 30.0)], "open update"),
        ("a clock set back by years", vec![received(2.0 * DAY, 0.0), received(2.0 * DAY, -9e8), received(2.0 * DAY, 60.0)], ""),
        ("a clock set forward by years", vec![received(9e8, 0.0), received(9e8, 8e8)], ""),
        ("the clock's new time counts", vec![received(9e8, 0.0), received(9e8, 8e8), received(9e8, 8e8 + 60.0)], "open"),
    ] {
        let mut world = World::new(&[minute(json!({}))]);
        let last = readings.last().unwrap().received_at;
        let now = (last - at(0.0)).as_seconds_f64() + 1.0;
        assert_eq!(short(&world.happens(now, readings)), happens, "{what}");
    }
}

#[test]
fn a_changed_rule_starts_anew_where_its_comparison_changed() {
    let hot = minute(json!({}));
    let changed = |extra: Value| Rule { rule_id: hot.rule_id, ..warm(extra) };
    let two = json!([
        {"metric_name": "door", "operator": "GTE", "threshold": 1},
        {"metric_name": "temp", "operator": "GT", "threshold": 80, "duration_seconds": 60},
    ]);
    for (what, rule, happens) in [
        ("unchanged", hot.clone(), "open"),
        ("renamed", changed(json!({"name": "Hot", "duration_seconds": 60})), "open"),
        ("a shorter window", changed(json!({"duration_seconds": 30})), "open"),
        ("a longer window", changed(json!({"duration_seconds": 61})), ""),
        ("another threshold", changed(json!({"duration_seconds": 60, "threshold": 70})), ""),
        ("another operator", changed(json!({"duration_seconds": 60, "operator": "GTE"})), ""),
        ("its condition moved", changed(json!({"conditions": two, "match_mode": "any"})), "open"),
    ] {
        let mut world = World::new(std::slice::from_ref(&hot));
        world.judge(0.1, vec![temp(0.0, 90.0)]);
        world.rules = rule_set(&[rule]);
        assert_eq!(short(&world.happens(60.1, vec![temp(60.0, 90.0)])), happens, "{what}");
    }
}

#[test]
fn a_run_that_nobody_followed_is_forgotten() {
    let mut world = World::new(&[minute(json!({"site_ids": ["s1"]}))]);
    world.judge(0.1, vec![temp(0.0, 90.0)]);
    assert_eq!(world.device.memory.breaching_since.keys().collect::<Vec<_>>(), ["temp GT 80.0"]);
    let home = world.device.site_id.clone();
    world.device.site_id = pulse_domain::ids::SiteId::parse("s2").unwrap();
    world.judge(10.0, vec![temp(9.0, 20.0)]);
    assert!(world.device.memory.breaching_since.is_empty());
    world.device.site_id = home;
    assert_eq!(short(&world.happens(61.0, vec![temp(60.0, 90.0)])), "");
    assert_eq!(short(&world.happens(121.0, vec![temp(120.0, 90.0)])), "open");
}

#[test]
fn rules_that_compare_alike_share_a_run() {
    let mut long = minute(json!({"severity": 5}));
    long.spec.duration_seconds = 120;
    let mut world = World::new(&[minute(json!({})), long]);
    let readings = [0.0, 60.0, 120.0].map(|second| temp(second, 90.0)).to_vec();
    assert_eq!(short(&world.happens(121.0, readings)), "open open update");
    assert_eq!(world.device.memory.breaching_since.len(), 1);
    assert_eq!(world.open[0].summary, "Too warm on d1: temp 90 > 80 for 60 s");
}
