//! Silence: STALE and NO_HEARTBEAT, and when a silent device is nobody's fault.

use chrono::TimeDelta;
use pulse_domain::alert::{AlertType, Cause, Fingerprint};
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{IngestProgress, Silence};
use serde_json::json;

use crate::fleet::{World, at, reading, short, temp, warm};

const MARGIN: f64 = 0.001;

/// A device that was heard from at 0.
fn heard() -> World {
    let mut world = World::new(&[]);
    let judgement = world.judge(0.1, vec![temp(0.0, 1.0)]);
    assert_eq!((judgement.outcome.status, judgement.outcome.next_check_at), (DeviceStatus::Online, Some(at(30.0 + MARGIN))));
    world
}

#[test]
fn a_device_never_heard_from_is_unknown() {
    let judgement = World::new(&[]).judge(1e5, vec![]);
    assert_eq!((judgement.outcome.status, judgement.outcome.next_check_at), (DeviceStatus::Unknown, None));
    assert!(judgement.outcome.changes.is_empty());
}

#[test]
fn online_while_the_last_message_is_at_most_stale_after_old() {
    let mut world = heard();
    let judgement = world.judge(30.0, vec![]);
    assert_eq!((judgement.outcome.status, judgement.outcome.next_check_at), (DeviceStatus::Online, Some(at(30.0 + MARGIN))));
    let judgement = world.judge(30.0 + MARGIN, vec![]);
    assert_eq!((judgement.outcome.status, judgement.outcome.next_check_at), (DeviceStatus::Stale, None));
    assert_eq!(short(&world.history), "silent");
    let alert = &world.open[0];
    assert_eq!((alert.alert_type, alert.severity.get(), alert.confidence), (AlertType::NoHeartbeat, 4, 0.9));
    assert_eq!((alert.fingerprint.as_str(), alert.rule_id), ("NO_HEARTBEAT:d1", None));
    assert_eq!(alert.summary, "d1 is silent: last heard from 30 s ago, at 2026-01-01 00:00:00 UTC");
    assert_eq!(alert.details, json!({"last_seen": "2026-01-01T00:00:00Z", "stale_after_seconds": 30.0}));
    assert_eq!(world.causes[0], Cause::default());
}

#[test]
fn the_next_message_closes_it() {
    let mut world = heard();
    world.judge(31.0, vec![]);
    assert_eq!(short(&world.happens(40.0, vec![])), "", "it stays open, and is not touched");
    let judgement = world.judge(51.0, vec![reading(50.0, json!({}))]);
    assert_eq!((judgement.outcome.status, judgement.outcome.next_check_at), (DeviceStatus::Online, Some(at(80.0 + MARGIN))));
    assert_eq!((short(&world.history).as_str(), world.causes[1].origin_at), ("silent back", Some(at(50.0))));
    assert_eq!(short(&world.happens(81.0, vec![])), "silent");
    // A message that is old by the time it is judged: the device came back and fell silent again.
    assert_eq!(short(&world.happens(500.0, vec![temp(90.0, 1.0)])), "back silent");
}

#[test]
fn a_timer_that_rings_for_a_device_heard_from_meanwhile_is_only_set_again() {
    let mut world = heard();
    world.device.last_seen = Some(at(29.0));
    let judgement = world.judge(30.1, vec![]);
    assert_eq!((judgement.outcome.status, judgement.outcome.next_check_at), (DeviceStatus::Online, Some(at(59.0 + MARGIN))));
    assert!(judgement.outcome.changes.is_empty());
}

#[test]
fn silence_is_held_against_a_device_only_while_ingest_was_listening() {
    let ingest = |up_since, durable_through| Some(IngestProgress { up_since: at(up_since), durable_through: at(durable_through) });
    for (what, ingest, now, stale, next) in [
        ("known throughout", ingest(-100.0, 30.0), 30.5, true, None),
        ("unknown", None, 30.5, false, Some(35.5)),
        ("late by a little", ingest(-100.0, 29.9), 30.5, false, Some(31.5)),
        ("late by three", ingest(-100.0, 27.0), 30.5, false, Some(33.5)),
        ("late by far", ingest(-100.0, -90.0), 30.5, false, Some(35.5)),
        ("began to listen after the last message", ingest(20.0, 30.4), 30.5, false, Some(50.0 + MARGIN)),
        ("has listened long enough since", ingest(20.0, 50.0), 50.5, true, None),
        ("has listened long enough since, but is late", ingest(20.0, 49.0), 50.5, false, Some(51.5)),
    ] {
        let mut world = heard();
        world.ingest = ingest;
        let outcome = world.judge(now, vec![]).outcome;
        assert_eq!((outcome.status == DeviceStatus::Stale, outcome.next_check_at), (stale, next.map(at)), "{what}");
        assert_eq!(short(&world.history), if stale { "silent" } else { "" }, "{what}");
    }
}

#[test]
fn a_held_judgement_keeps_the_status() {
    let mut world = heard();
    world.judge(31.0, vec![]);
    world.ingest = None;
    let outcome = world.judge(40.0, vec![]).outcome;
    assert_eq!((outcome.status, outcome.changes.len()), (DeviceStatus::Stale, 0));
    let outcome = world.judge(500.0, vec![temp(50.0, 1.0)]).outcome;
    assert_eq!((outcome.status, short(&world.history).as_str()), (DeviceStatus::Online, "silent back"));
}

#[test]
fn silence_is_not_judged_before_all_readings_are() {
    let mut world = heard();
    world.device.has_more = true;
    let outcome = world.judge(500.0, vec![temp(1.0, 1.0)]).outcome;
    assert_eq!((outcome.status, outcome.changes.len()), (DeviceStatus::Online, 0));
    world.device.has_more = false;
    assert_eq!(short(&world.happens(500.0, vec![temp(2.0, 1.0)])), "silent");
}

#[test]
fn a_device_out_of_service_is_stale_without_an_alert() {
    let mut world = heard();
    world.device.lifecycle = Lifecycle::Inactive;
    let outcome = world.judge(31.0, vec![]).outcome;
    assert_eq!((outcome.status, outcome.next_check_at, outcome.changes.len()), (DeviceStatus::Stale, None, 0));
    world.device.lifecycle = Lifecycle::Active;
    assert_eq!(short(&world.happens(32.0, vec![])), "silent");
    world.device.lifecycle = Lifecycle::Decommissioned;
    assert_eq!(short(&world.happens(33.0, vec![])), "back");
}

#[test]
fn a_silenced_heartbeat_is_looked_at_when_the_silence_is_over() {
    let mut world = heard();
    let fingerprint = Fingerprint::no_heartbeat(&world.device.key.device_id);
    world.device.silences = vec![Silence { fingerprint, until: at(100.0) }];
    let outcome = world.judge(31.0, vec![]).outcome;
    assert_eq!((outcome.status, outcome.next_check_at, outcome.changes.len()), (DeviceStatus::Stale, Some(at(100.0 + MARGIN)), 0));
    assert_eq!(short(&world.happens(100.0 + MARGIN, vec![])), "silent");
}

#[test]
fn alerts_that_no_judgement_makes_are_left_alone() {
    let mut world = World::new(&[warm(json!({}))]);
    let health = pulse_domain::evaluation::OpenAlert {
        alert_id: pulse_domain::ids::AlertId::generate(),
        fingerprint: Fingerprint::system_health("ui_api"),
        rule_id: None,
    };
    world.device.open_alerts = vec![health];
    world.device.lifecycle = Lifecycle::Inactive;
    assert!(world.judge(1.0, vec![temp(0.5, 1.0)]).outcome.changes.is_empty());
}

#[test]
fn the_end_of_time_is_no_trouble() {
    let mut world = heard();
    world.device.last_seen = Some(pulse_domain::Timestamp::MAX_UTC - TimeDelta::seconds(1));
    assert_eq!(world.judge(31.0, vec![]).outcome.status, DeviceStatus::Online);
}
