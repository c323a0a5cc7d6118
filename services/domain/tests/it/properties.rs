//! What must hold whatever comes: judging in batches changes nothing, alerts open and close in turn, nothing panics. [`World`] asserts with
//! every judgement that no fingerprint is open twice and that only open alerts are updated or closed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use pulse_domain::alert::AlertType;
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{DeviceMemory, IngestProgress, RuleSet, Silence};
use pulse_domain::ids::SiteId;
use pulse_domain::reading::{MetricValue, Metrics, Reading};
use pulse_domain::rule::Rule;
use serde_json::json;

use crate::fleet::{Happened, World, at, reading, rule, rule_set, short};

const METRICS: [&str; 3] = ["a", "b", "c"];

/// A rule over few metrics with few thresholds, so that readings breach and clear often.
fn some_rule() -> impl Strategy<Value = Rule> {
    let condition = (0..3_usize, prop::sample::select(vec!["GT", "GTE", "LT", "LTE"]), 0..5, prop::sample::select(vec![0, 0, 5, 20])).prop_map(
        |(metric, operator, threshold, duration)| {
            json!({"metric_name": METRICS[metric], "operator": operator, "threshold": threshold, "duration_seconds": duration})
        },
    );
    let site = prop::sample::select(vec![vec![], vec!["s1"], vec!["s2"]]);
    let conditions = prop::collection::vec(condition, 1..4);
    (conditions, any::<bool>(), site, 1..=5_u8, prop::bool::weighted(0.9)).prop_map(|(conditions, all, site_ids, severity, enabled)| {
        let match_mode = if all { "all" } else { "any" };
        let body =
            json!({"conditions": conditions, "match_mode": match_mode, "site_ids": site_ids, "severity": severity, "enabled": enabled});
        rule(body)
    })
}

/// Readings in the order of their receipt, from `start` on; their own times wander.
fn some_readings(start: f64) -> impl Strategy<Value = Vec<Reading>> {
    let metrics = prop::collection::btree_map(prop::sample::select(METRICS.to_vec()), 0..5, 0..3);
    prop::collection::vec((0.0..15.0, -30.0..10.0, metrics), 0..12).prop_map(move |steps| {
        let mut now = start;
        let mut readings = Vec::new();
        for (step, skew, metrics) in steps {
            now += step;
            readings.push(Reading { ts: at(now + skew), ..reading(now, json!(metrics)) });
        }
        readings
    })
}

/// A world with a past: some readings judged by some rules, of which some stay and others come.
fn some_world() -> impl Strategy<Value = World> {
    let rules = (prop::collection::vec(some_rule(), 0..5), prop::collection::vec(some_rule(), 0..4), 0..5_usize);
    let ingest = prop::option::of((-100.0..400.0, -100.0..600.0));
    (rules, some_readings(0.0), ingest, prop::bool::weighted(0.9), any::<bool>()).prop_map(
        |((old, new, stay), past, ingest, active, quiet)| {
            let mut world = World::new(&old);
            let now = past.last().map_or(0.0, |last| (last.received_at - at(0.0)).as_seconds_f64());
            world.judge(now, past);
            if quiet {
                world.judge(now + 31.0, vec![]);
            }
            world.rules = rule_set(&old.into_iter().take(stay).chain(new).collect::<Vec<_>>());
            world.ingest = ingest.map(|(up_since, durable)| IngestProgress { up_since: at(up_since), durable_through: at(durable) });
            world.device.lifecycle = if active { Lifecycle::Active } else { Lifecycle::Inactive };
            world
        },
    )
}

/// What a store and its users would see of a world.
fn seen(world: &World) -> impl PartialEq + std::fmt::Debug {
    let open: BTreeMap<_, _> = world
        .open
        .iter()
        .map(|alert| (alert.fingerprint.clone(), (alert.severity, alert.summary.clone(), alert.details.clone())))
        .collect();
    let changes: Vec<_> = world.history.iter().filter(|happened| !matches!(happened, Happened::Updated(_))).cloned().collect();
    (open, changes, world.causes.clone(), world.device.memory.clone(), world.device.status)
}

proptest! {
    #[test]
    fn a_batch_is_judged_as_its_readings_one_by_one(world in some_world(), readings in some_readings(200.0), wait in 0.0..60.0) {
        let last_seen = readings.last().map(|last| last.received_at);
        let now = last_seen.map_or(200.0, |at_last| (at_last - at(0.0)).as_seconds_f64()) + wait;
        let mut batch = world.clone();
        let batched = batch.judge(now, readings.clone());

        let mut single = world;
        single.device.last_seen = single.device.last_seen.max(last_seen);
        let (mut evaluated, mut next_check_at, count) = (0, None, readings.len());
        for (index, one) in readings.into_iter().enumerate() {
            single.device.has_more = index + 1 < count;
            let judged = single.judge(now, vec![one]);
            evaluated += judged.rules_evaluated;
            next_check_at = judged.outcome.next_check_at;
        }
        if count > 0 {
            prop_assert_eq!(seen(&batch), seen(&single));
            prop_assert_eq!((batched.rules_evaluated, batched.outcome.next_check_at), (evaluated, next_check_at));
        }
    }

    #[test]
    fn alerts_of_one_fingerprint_open_and_close_in_turn(world in some_world(), readings in some_readings(200.0), chunk in 1..5_usize) {
        let mut world = world;
        for chunk in readings.chunks(chunk) {
            let now = (chunk[chunk.len() - 1].received_at - at(0.0)).as_seconds_f64();
            world.judge(now, chunk.to_vec());
        }
        let mut open = BTreeMap::new();
        for happened in &world.history {
            let (fingerprint, must_be_open, opens) = match happened {
                Happened::Opened(fingerprint) => (fingerprint, false, true),
                Happened::Updated(fingerprint) => (fingerprint, true, true),
                Happened::Closed(fingerprint) => (fingerprint, true, false),
            };
            prop_assert_eq!(open.insert(fingerprint.clone(), opens).unwrap_or(false), must_be_open, "{}", short(&world.history));
        }
    }

    #[test]
    fn the_status_is_what_the_last_message_says(world in some_world(), silence in 0.0..120.0, silenced in any::<bool>()) {
        let mut world = world;
        let now = world.device.last_seen.map_or(0.0, |last| (last - at(0.0)).as_seconds_f64()) + silence;
        if silenced {
            let fingerprint = pulse_domain::alert::Fingerprint::no_heartbeat(&world.device.key.device_id);
            world.device.silences = vec![Silence { fingerprint, until: at(1e6) }];
        }
        let before = world.clone();
        let outcome = world.judge(now, vec![]).outcome;
        let is_open = |world: &World| world.open.iter().any(|alert| alert.alert_type == AlertType::NoHeartbeat);
        let active = world.device.lifecycle == Lifecycle::Active;
        match outcome.status {
            DeviceStatus::Unknown => prop_assert_eq!(world.device.last_seen, None),
            DeviceStatus::Online => prop_assert!(!is_open(&world) && outcome.next_check_at.is_some_and(|next| next > at(now))),
            DeviceStatus::Stale => {
                prop_assert!(world.device.last_seen.is_some_and(|last| last + crate::fleet::STALE_AFTER < at(now)));
                prop_assert!(active || !is_open(&world));
                prop_assert!(!active || silenced || is_open(&world) || outcome.next_check_at.is_some());
            }
        }
        // Once more at the same time changes nothing.
        let history = world.history.len();
        let again = world.judge(now, vec![]).outcome;
        prop_assert_eq!((again.status, again.next_check_at, world.history.len()), (outcome.status, outcome.next_check_at, history));
        prop_assert!(before.device.memory.latest.len() >= world.device.memory.latest.len());
    }

    #[test]
    fn nothing_panics(
        rules in prop::collection::vec(some_rule(), 0..4),
        thresholds in prop::collection::vec(any::<f64>(), 4),
        values in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, 3),
        times in prop::collection::vec(-8e12..8e12_f64, 8),
        stored in prop::collection::btree_map("[ac] (GT|LTE) [0-4]\\.0", -8e12..8e12_f64, 0..4),
        site in prop::sample::select(vec!["s1", "s2", "s3"]),
    ) {
        let mut rules = rules;
        for (rule, threshold) in rules.iter_mut().zip(&thresholds) {
            rule.spec.conditions[0].threshold = *threshold;
        }
        let mut world = World::new(&[]);
        world.rules = RuleSet::compile(&rules).0;
        world.device.site_id = SiteId::parse(site).unwrap();
        world.device.memory = DeviceMemory {
            latest: METRICS.iter().zip(&values).map(|(metric, value)| ((*metric).to_owned(), *value)).collect(),
            breaching_since: stored.into_iter().map(|(run, seconds)| (run, at(seconds))).collect(),
            sampled_at: METRICS.iter().zip(&times).map(|(metric, seconds)| ((*metric).to_owned(), at(*seconds))).collect(),
        };
        world.ingest = Some(IngestProgress { up_since: at(times[6]), durable_through: at(times[7]) });
        let metrics: Vec<_> = METRICS.iter().zip(&values).map(|(metric, value)| ((*metric).into(), MetricValue::Number(*value))).collect();
        let metrics = Metrics::new(metrics).unwrap();
        let one = Reading { ts: at(times[3]), metrics, ..reading(times[4], json!({})) };
        world.judge(times[5], vec![one]);
    }
}
