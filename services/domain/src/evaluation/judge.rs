//! The judgement of one device: its readings in order, each against the rules that name its metrics, then its silence.

use std::time::Duration;

use super::compile::{CompiledRule, RuleSet};
use super::describe::Finding;
use super::ledger::Ledger;
use super::window::Samples;
use super::{DeviceMemory, DeviceOutcome, DueDevice, IngestProgress, heartbeat};
use crate::Timestamp;
use crate::device::DeviceStatus;
use crate::reading::Reading;
use crate::rule::MatchMode;

/// The time of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgeClock {
    /// The present; alerts open and close at it.
    pub now: Timestamp,
    /// How far ingest has come, read *before* the device was: what is durable by then is among its readings. None when it is not known.
    pub ingest: Option<IngestProgress>,
    /// A device is ONLINE while its last message is at most this old.
    pub stale_after: Duration,
}

/// What judging a device found.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub outcome: DeviceOutcome,
    /// How many times a rule was checked against a reading.
    pub rules_evaluated: u64,
}

/// Judges a device by its tenant's rules.
///
/// A rule is evaluated at each reading that holds at least one of its metrics; its other metrics have their latest known values. It opens
/// its alert at the first reading at which it fires and closes it at the next evaluated one at which it does not. An alert whose rule is
/// gone, no longer applies to the device, or names no metric that the device is known by, is closed. Nothing opens for a device that is
/// not active, and what is open closes.
pub fn judge(device: &DueDevice, rules: &RuleSet, clock: &JudgeClock) -> Judgement {
    let mut ledger = Ledger::new(device, clock.now);
    let (memory, rules_evaluated) = if device.lifecycle.is_judged() {
        judge_readings(device, rules, &mut ledger)
    } else {
        ledger.close_all();
        (DeviceMemory::default(), 0)
    };
    let mut presence = heartbeat::presence(device, clock);
    if presence.is_silent && device.lifecycle.is_judged() {
        let silenced_until = ledger.silent(clock);
        presence.next_check_at = silenced_until.map(heartbeat::after_silence);
    } else if presence.status == DeviceStatus::Online {
        ledger.heard(None);
    }
    let changes = ledger.into_changes(rules);
    Judgement {
        rules_evaluated,
        outcome: DeviceOutcome {
            key: device.key.clone(),
            evaluated_through: device.readings.last().map(|reading| reading.reading_id),
            status: presence.status,
            memory,
            next_check_at: presence.next_check_at,
            changes,
        },
    }
}

/// What to remember, and the number of evaluations.
fn judge_readings(device: &DueDevice, rules: &RuleSet, ledger: &mut Ledger<'_>) -> (DeviceMemory, u64) {
    let mut samples = Samples::recall(device, rules);
    ledger.close_orphans(rules, &samples);
    if let Some(first) = device.readings.first() {
        ledger.heard(Some(first));
    }
    let mut evaluated = 0;
    let mut touched = Vec::new();
    for reading in &device.readings {
        samples.take(reading, rules, &mut touched);
        for &index in &touched {
            let Some(rule) = rules.rule(index).filter(|rule| rule.applies_to(device)) else { continue };
            evaluated += 1;
            match evaluate(rule, reading, &mut samples) {
                Some(finding) => ledger.fires(index, rule, finding, reading),
                None => ledger.rests(rule, rules, reading),
            }
        }
    }
    (samples.into_memory(), evaluated)
}

/// What the rule finds at this reading, when it fires. Every condition is looked at, for the run of each must be kept.
fn evaluate(rule: &CompiledRule, reading: &Reading, samples: &mut Samples) -> Option<Finding> {
    let mut met = 0_u32;
    for (index, condition) in rule.conditions.iter().enumerate() {
        met |= u32::from(samples.holds(condition, reading)) << index;
    }
    let fires = match rule.match_mode {
        MatchMode::All => met.count_ones() as usize == rule.conditions.len(),
        MatchMode::Any => met != 0,
    };
    fires.then(|| Finding { met, values: rule.conditions.iter().map(|condition| samples.value(&condition.metric, reading)).collect() })
}
