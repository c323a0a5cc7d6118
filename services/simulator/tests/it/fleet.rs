//! What the fleet says: the same each time, within its ranges, and wrong when it is meant to be.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use pulse_domain::reading::ReadingKind;
use pulse_domain::rule::{MatchMode, RuleSpec};
use pulse_simulator::fleet::rules::demo_rules;
use pulse_simulator::fleet::sensor::SensorKind;
use pulse_simulator::fleet::troubles::falls_silent;
use pulse_simulator::fleet::{DeviceModel, FleetPlan, Message, profile};

fn until(plan: &FleetPlan, device: u32, end: Duration) -> Vec<Message> {
    DeviceModel::new(plan, device).take_while(|message| message.at < end).collect()
}

fn value(message: &Message, metric: &str) -> Option<f64> {
    message.metrics.iter().find(|(name, _)| *name == metric).map(|(_, value)| value.as_f64())
}

#[test]
fn rules_are_what_the_api_takes() {
    let rules: Vec<RuleSpec> = demo_rules().into_iter().map(|rule| serde_json::from_value(rule).unwrap()).collect();
    for rule in &rules {
        rule.validate().unwrap();
    }
    let types: Vec<_> = rules.iter().flat_map(|rule| rule.device_types.clone()).collect();
    assert_eq!(types, SensorKind::ALL.map(SensorKind::device_type), "one rule for each kind");
    assert!(rules.iter().any(|rule| rule.duration_seconds > 0));
    assert!(rules.iter().any(|rule| rule.conditions.len() == 2 && rule.match_mode == MatchMode::All));
}

fn rule_of(device: u32) -> RuleSpec {
    let kind = profile(device).unwrap().kind;
    let rules = demo_rules().into_iter().map(|rule| serde_json::from_value::<RuleSpec>(rule).unwrap());
    rules.into_iter().find(|rule| rule.device_types[0] == kind.device_type()).unwrap()
}

/// The readings among these messages, and whether the rule holds at each of them.
fn judged<'a>(rule: &RuleSpec, messages: impl IntoIterator<Item = &'a Message>) -> Vec<(&'a Message, bool)> {
    let conditions = rule.effective_conditions().unwrap();
    let mut since: BTreeMap<usize, Duration> = BTreeMap::new();
    let readings = messages.into_iter().filter(|message| message.kind == ReadingKind::Telemetry);
    let judge = |message: &'a Message| {
        let holds = conditions.iter().enumerate().all(|(index, condition)| {
            if !condition.operator.breaches(value(message, &condition.metric_name).unwrap(), condition.threshold) {
                since.remove(&index);
                return false;
            }
            message.at - *since.entry(index).or_insert(message.at) >= Duration::from_secs(condition.duration_seconds.into())
        });
        (message, holds)
    };
    readings.map(judge).collect()
}

/// How often a rule began and ceased to hold for these messages, judged reading by reading.
fn opened_and_closed(rule: &RuleSpec, messages: &[Message]) -> (u32, u32) {
    let (mut opened, mut closed, mut is_open) = (0, 0, false);
    for (_, holds) in judged(rule, messages) {
        opened += u32::from(holds && !is_open);
        closed += u32::from(!holds && is_open);
        is_open = holds;
    }
    (opened, closed)
}

/// The first reading outside a breach at which the device's rule holds, be it that all readings are sent or only those outside breaches.
fn false_alarm(device: u32, messages: &[Message]) -> Option<&Message> {
    let rule = rule_of(device);
    let all = judged(&rule, messages);
    let quiet = judged(&rule, messages.iter().filter(|message| !message.in_breach));
    all.into_iter().chain(quiet).find(|(message, holds)| *holds && !message.in_breach).map(|(message, _)| message)
}

#[test]
fn a_short_demo_sees_breaches_of_every_kind_open_and_close() {
    let rules: Vec<RuleSpec> = demo_rules().into_iter().map(|rule| serde_json::from_value(rule).unwrap()).collect();
    for seed in 0..20 {
        let plan = FleetPlan::at_rate(seed, 200, 200.0);
        for (kind, rule) in rules.iter().enumerate() {
            let devices = (0..200).filter(|device| *device as usize % rules.len() == kind);
            let (opened, closed) = devices
                .map(|device| opened_and_closed(rule, &until(&plan, device, Duration::from_secs(25))))
                .fold((0, 0), |total, own| (total.0 + own.0, total.1 + own.1));
            assert!(closed >= 1, "seed {seed}: {} opened {opened} times and closed {closed} times", rule.name);
        }
    }
}

#[test]
fn breaches_show_at_any_pace() {
    for seconds in [0.05, 1.0, 30.0] {
        let plan = FleetPlan { interval: Duration::from_secs_f64(seconds), ..FleetPlan::at_rate(3, 60, 60.0) };
        for rule in demo_rules() {
            let rule: RuleSpec = serde_json::from_value(rule).unwrap();
            let devices = (0..60).filter(|device| profile(*device).unwrap().kind.device_type() == rule.device_types[0]);
            let end = Duration::from_secs(400) + plan.interval * 12;
            let opened: u32 = devices.map(|device| opened_and_closed(&rule, &until(&plan, device, end)).0).sum();
            assert!(opened > 0, "{} at one reading in {seconds} s", rule.name);
        }
    }
}

#[test]
fn some_devices_fall_silent_for_longer_than_the_heartbeat_limit_and_return() {
    let plan = FleetPlan::at_rate(7, 200, 200.0);
    let silent: Vec<u32> = (0..200).filter(|device| falls_silent(*device)).collect();
    assert_eq!(silent.len(), 3);
    for device in 0..200 {
        let messages = until(&plan, device, Duration::from_secs(600));
        let gaps = messages.windows(2).filter(|pair| pair[1].at - pair[0].at > Duration::from_secs(30)).count();
        assert_eq!(gaps, if silent.contains(&device) { 2 } else { 0 }, "device {device}");
        assert!(messages.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    }
}

#[test]
fn the_pace_is_the_one_asked_for() {
    let plan = FleetPlan::at_rate(1, 120, 60.0);
    assert_eq!(plan.interval, Duration::from_secs(2));
    let messages: usize = (0..120).filter(|d| !falls_silent(*d)).map(|device| until(&plan, device, Duration::from_secs(20)).len()).sum();
    let speaking = (0..120).filter(|d| !falls_silent(*d)).count();
    assert_eq!(messages, speaking * 10);
    assert_eq!(FleetPlan::at_rate(1, 0, 0.0).devices, 1, "nothing divides by zero");
}

#[test]
fn the_beginning_of_a_device_is_written_down() {
    let plan = FleetPlan::at_rate(42, 200, 200.0);
    let told: Vec<String> = DeviceModel::new(&plan, 2)
        .take(3)
        .map(|m| {
            format!("{} {} {:.3} {} {:?}", profile(m.device).unwrap().device_id, m.seq, m.at.as_secs_f64(), m.kind.as_str(), m.metrics)
        })
        .collect();
    // What a seed says is an interface: people note seeds down.
    insta::assert_snapshot!(told.join("\n"), @r#"
    motor-00002 1 0.143 telemetry [("vibration_mm_s", Number(2.746)), ("bearing_c", Number(57.605))]
    motor-00002 2 1.143 telemetry [("vibration_mm_s", Number(2.47)), ("bearing_c", Number(56.044))]
    motor-00002 3 2.143 telemetry [("vibration_mm_s", Number(2.533)), ("bearing_c", Number(56.486))]
    "#);
}

#[test]
fn a_door_used_on_either_side_of_heartbeats_is_not_left_open() {
    // It was used, three heartbeats hid that it was shut again, and it was used anew: open for 4 s, as far as anyone could tell.
    let (seed, device) = (2_957_081_545_756_796_547, 190);
    let messages = until(&FleetPlan::at_rate(seed, 600, 600.0), device, Duration::from_secs(300));
    assert_eq!(false_alarm(device, &messages), None);
}

proptest! {
    #[test]
    fn a_device_says_the_same_whatever_else_there_is(seed: u64, device in 0u32..500, others in 1u32..500) {
        let alone = FleetPlan::at_rate(seed, 1, 1.0);
        let among = FleetPlan { devices: others, ..alone.clone() };
        let first: Vec<_> = DeviceModel::new(&alone, device).take(200).collect();
        // Another device runs between its steps.
        let mut other = DeviceModel::new(&among, device + 1);
        let mut own = DeviceModel::new(&among, device);
        let again: Vec<_> = (0..200).map(|_| { other.advance(); own.advance() }).collect();
        prop_assert_eq!(first, again);
    }

    #[test]
    fn values_are_finite_and_normal_outside_breaches(seed: u64, device in 0u32..600) {
        let plan = FleetPlan::at_rate(seed, 600, 600.0);
        let kind = profile(device).unwrap().kind;
        let mut last = Duration::ZERO;
        for message in until(&plan, device, Duration::from_secs(300)) {
            prop_assert!(message.at >= last);
            last = message.at;
            prop_assert_eq!(message.kind == ReadingKind::Heartbeat, message.metrics.is_empty());
            for walk in kind.walks() {
                let Some(value) = value(&message, walk.metric) else { continue };
                let (low, high) = walk.normal_range();
                let (low, high) = if message.in_breach { (low + walk.breach.min(0.0), high + walk.breach.max(0.0)) } else { (low, high) };
                prop_assert!(value >= low - 0.001 && value <= high + 0.001, "{} is {value}", walk.metric);
            }
        }
    }

    #[test]
    fn no_rule_holds_outside_a_breach(
        seed: u64, device in 0u32..600, heartbeat_share in prop::sample::select(vec![0.05, 0.5]), seconds in prop::sample::select(vec![0.05, 1.0, 30.0])
    ) {
        let plan = FleetPlan { heartbeat_share, ..FleetPlan::at_rate(seed, 600, 600.0 / seconds) };
        let messages: Vec<_> = DeviceModel::new(&plan, device).take(600).collect();
        prop_assert_eq!(false_alarm(device, &messages), None);
    }
}
