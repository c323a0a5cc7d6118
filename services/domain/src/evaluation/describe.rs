//! What an alert says: a sentence for the person on call, and the same as data.

use std::fmt;

use serde_json::{Value, json};

use super::DueDevice;
use super::compile::{CompiledCondition, CompiledRule};
use super::judge::JudgeClock;
use crate::ids::DeviceId;

/// The most conditions that a summary spells out.
const CONDITIONS_SPELT_MAX: usize = 3;

/// Why a rule fires.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    /// A bit for each condition: whether it holds.
    pub(super) met: u32,
    /// The value of each condition's metric; none when the device never sent it.
    pub(super) values: Vec<Option<f64>>,
}

impl Finding {
    fn is_met(&self, index: usize) -> bool {
        self.met & (1 << index) != 0
    }
}

/// An alert's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Description {
    pub(super) summary: String,
    /// A JSON object.
    pub(super) details: Value,
}

/// Of a rule that fires, for example `Too warm on freezer-7: temperature -12.4 > -15 for 300 s`. The condition that the details lead with is
/// the first that holds.
pub(super) fn rule(rule: &CompiledRule, finding: &Finding, device_id: &DeviceId) -> Description {
    let met: Vec<(&CompiledCondition, Option<f64>)> =
        conditions(rule, finding).filter(|(_, _, met)| *met).map(|(condition, value, _)| (condition, value)).collect();
    let spelt: Vec<String> = met.iter().take(CONDITIONS_SPELT_MAX).map(|(condition, value)| spell(condition, *value)).collect();
    let mut summary = format!("{} on {device_id}: {}", rule.name, spelt.join(" and "));
    if met.len() > CONDITIONS_SPELT_MAX {
        summary.push_str(&format!(" and {} more", met.len() - CONDITIONS_SPELT_MAX));
    }
    let lead = met.first();
    let details = json!({
        "rule_id": rule.rule_id,
        "rule_name": rule.name,
        "metric_name": lead.map(|(condition, _)| &*condition.metric),
        "metric_value": lead.and_then(|(_, value)| *value),
        "operator": lead.map(|(condition, _)| condition.operator),
        "threshold": lead.map(|(condition, _)| condition.threshold),
        "match_mode": rule.match_mode,
        "conditions": conditions(rule, finding).map(|(condition, value, met)| json!({
            "metric_name": &*condition.metric,
            "operator": condition.operator,
            "threshold": condition.threshold,
            "duration_seconds": condition.duration_seconds,
            "value": value,
            "met": met,
        })).collect::<Vec<_>>(),
    });
    Description { summary, details }
}

/// Of a silent device, for example `freezer-7 is silent: last heard from 34 s ago, at 2026-01-02 03:04:05 UTC`.
pub(super) fn silence(device: &DueDevice, clock: &JudgeClock) -> Description {
    let (device_id, last_seen) = (&device.key.device_id, device.last_seen);
    let summary = match last_seen {
        Some(at) => {
            let seconds = (clock.now - at).num_seconds();
            format!("{device_id} is silent: last heard from {seconds} s ago, at {}", at.format("%Y-%m-%d %H:%M:%S UTC"))
        }
        None => format!("{device_id} is silent"),
    };
    let details = json!({
        "last_seen": last_seen,
        "stale_after_seconds": clock.stale_after.as_secs_f64(),
    });
    Description { summary, details }
}

fn conditions<'a>(rule: &'a CompiledRule, finding: &'a Finding) -> impl Iterator<Item = (&'a CompiledCondition, Option<f64>, bool)> {
    let values = finding.values.iter().copied().chain(std::iter::repeat(None));
    rule.conditions.iter().zip(values).enumerate().map(|(index, (condition, value))| (condition, value, finding.is_met(index)))
}

fn spell(condition: &CompiledCondition, value: Option<f64>) -> String {
    let CompiledCondition { metric, operator, threshold, duration_seconds, .. } = condition;
    let value = value.map(|value| shown(value, condition)).unwrap_or_default();
    let duration = if *duration_seconds > 0 { format!(" for {duration_seconds} s") } else { String::new() };
    format!("{metric} {value} {} {}{duration}", operator.sign(), Plain(*threshold))
}

/// The value to three decimals, or whole when rounding would hide that it breaches.
fn shown(value: f64, condition: &CompiledCondition) -> String {
    let rounded = (value * 1e3).round() / 1e3;
    let honest = rounded.is_finite() && condition.breaches(rounded) == condition.breaches(value) && (rounded != 0.0 || value == 0.0);
    Plain(if honest { rounded } else { value }).to_string()
}

/// A number without hundreds of digits.
struct Plain(f64);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size == 0.0 || (1e-6..1e15).contains(&size) { write!(f, "{}", self.0) } else { write!(f, "{:e}", self.0) }
    }
}
