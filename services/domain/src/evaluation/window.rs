//! What is known of a device's metrics while its readings go by: latest values, and how long each comparison has held.

use chrono::TimeDelta;

use super::compile::{CompiledCondition, MetricUse, RuleSet, Window};
use super::{DeviceMemory, DueDevice, METRICS_REMEMBERED_MAX};
use crate::Timestamp;
use crate::reading::Reading;

/// A device whose time jumps by more than this, forwards or back, has set its clock or slept through any window: its runs begin anew.
const CLOCK_JUMP: TimeDelta = TimeDelta::days(1);

/// The memory of one device, at work.
#[derive(Debug)]
pub(super) struct Samples {
    memory: DeviceMemory,
}

impl Samples {
    /// What the device's memory holds that its tenant's rules still ask for.
    pub(super) fn recall(device: &DueDevice, rules: &RuleSet) -> Self {
        let DeviceMemory { latest, breaching_since, sampled_at } = &device.memory;
        let timed = |metric: &str| rules.metric(metric).is_some_and(|usage| !usage.runs.is_empty());
        let memory = DeviceMemory {
            latest: latest.iter().filter(|(metric, _)| rules.metric(metric).is_some()).map(|(k, v)| (k.clone(), *v)).collect(),
            breaching_since: breaching_since
                .iter()
                .filter(|(run, _)| rules.follows_run(run, device))
                .map(|(k, v)| (k.clone(), *v))
                .collect(),
            sampled_at: sampled_at.iter().filter(|(metric, _)| timed(metric)).map(|(k, v)| (k.clone(), *v)).collect(),
        };
        Self { memory }
    }

    /// Whether a value of this metric is remembered.
    pub(super) fn knows(&self, metric: &str) -> bool {
        self.memory.latest.contains_key(metric)
    }

    /// Whether no further metric would be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.memory.latest.len() >= METRICS_REMEMBERED_MAX
    }

    /// Takes a reading in and notes in `touched` each rule that names one of its metrics, once, in the rules' order.
    pub(super) fn take(&mut self, reading: &Reading, rules: &RuleSet, touched: &mut Vec<usize>) {
        touched.clear();
        let at = reading.ts.min(reading.received_at);
        for (metric, value) in reading.metrics.iter() {
            let Some(usage) = rules.metric(metric) else { continue };
            touched.extend_from_slice(&usage.rules);
            self.set_latest(metric, value.as_f64());
            if !usage.runs.is_empty() {
                self.set_time(metric, at, usage);
            }
        }
        touched.sort_unstable();
        touched.dedup();
    }

    fn set_latest(&mut self, metric: &str, value: f64) {
        let latest = &mut self.memory.latest;
        if let Some(known) = latest.get_mut(metric) {
            *known = value;
        } else if latest.len() < METRICS_REMEMBERED_MAX {
            latest.insert(metric.to_owned(), value);
        }
    }

    fn set_time(&mut self, metric: &str, at: Timestamp, usage: &MetricUse) {
        let sampled_at = &mut self.memory.sampled_at;
        if let Some(seen) = sampled_at.get_mut(metric) {
            if (at - *seen).abs() > CLOCK_JUMP {
                *seen = at;
                self.memory.breaching_since.retain(|run, _| !usage.runs.iter().any(|own| **own == **run));
            } else {
                *seen = at.max(*seen);
            }
        } else if sampled_at.len() < METRICS_REMEMBERED_MAX {
            sampled_at.insert(metric.to_owned(), at);
        }
    }

    /// The value that a condition is checked against: the reading's own, or the latest known.
    pub(super) fn value(&self, metric: &str, reading: &Reading) -> Option<f64> {
        reading.metrics.get(metric).map(|value| value.as_f64()).or_else(|| self.memory.latest.get(metric).copied())
    }

    /// Whether a condition holds at this reading, which was [taken](Self::take) in; keeps the run of a condition with a duration.
    pub(super) fn holds(&mut self, condition: &CompiledCondition, reading: &Reading) -> bool {
        let sampled = reading.metrics.get(&condition.metric).is_some();
        let breaches = self.value(&condition.metric, reading).is_some_and(|value| condition.breaches(value));
        match &condition.window {
            None => breaches,
            Some(window) => self.holds_for(window, condition, sampled.then_some(breaches)),
        }
    }

    /// `sample`: whether the reading's own sample breaches, when it has one.
    fn holds_for(&mut self, window: &Window, condition: &CompiledCondition, sample: Option<bool>) -> bool {
        let Some(&sampled_at) = self.memory.sampled_at.get(&*condition.metric) else { return false };
        let runs = &mut self.memory.breaching_since;
        if sample == Some(false) {
            runs.remove(&*window.run);
        } else if sample == Some(true) && !runs.contains_key(&*window.run) {
            runs.insert(window.run.as_ref().to_owned(), sampled_at);
        }
        runs.get(&*window.run).is_some_and(|since| sampled_at - *since >= window.length)
    }

    /// What to remember until the next judgement.
    pub(super) fn into_memory(self) -> DeviceMemory {
        self.memory
    }
}
