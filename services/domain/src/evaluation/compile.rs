//! A tenant's rules made ready to judge by: checked, and indexed by metric so that a reading touches only the rules that name its metrics.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;

use super::DueDevice;
use crate::ids::{GroupId, RuleId, SiteId};
use crate::rule::{Condition, InvalidRule, MatchMode, Operator, Rule, Severity};

/// The compiled rules of one tenant.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    /// By creation.
    rules: Vec<CompiledRule>,
    by_id: HashMap<RuleId, usize>,
    by_metric: HashMap<Arc<str>, MetricUse>,
    /// The rules that wait for a comparison to hold for a while, by its key.
    by_run: HashMap<Arc<str>, Vec<usize>>,
}

/// Who asks for a metric.
#[derive(Debug, Clone, Default)]
pub(super) struct MetricUse {
    /// Indexes of the rules that name it.
    pub(super) rules: Vec<usize>,
    /// Keys of the comparisons on it that are under a duration.
    pub(super) runs: Vec<Arc<str>>,
}

/// One rule, checked.
#[derive(Debug, Clone)]
pub(super) struct CompiledRule {
    pub(super) rule_id: RuleId,
    pub(super) name: String,
    pub(super) severity: Severity,
    pub(super) match_mode: MatchMode,
    /// At least one.
    pub(super) conditions: Vec<CompiledCondition>,
    site_ids: HashSet<SiteId>,
    group_ids: HashSet<GroupId>,
    device_types: HashSet<String>,
}

/// One comparison of a rule.
#[derive(Debug, Clone)]
pub(super) struct CompiledCondition {
    pub(super) metric: Arc<str>,
    pub(super) operator: Operator,
    pub(super) threshold: f64,
    pub(super) duration_seconds: u32,
    /// None: one sample is enough.
    pub(super) window: Option<Window>,
}

/// How long a comparison must hold.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) length: TimeDelta,
    /// The comparison's key in `DeviceMemory::breaching_since`.
    pub(super) run: Arc<str>,
}

impl RuleSet {
    /// Compiles the enabled ones of a tenant's rules. A bad rule is left out and comes back with what is wrong with it; the others judge on.
    pub fn compile(rules: &[Rule]) -> (Self, Vec<(RuleId, InvalidRule)>) {
        let mut enabled: Vec<&Rule> = rules.iter().filter(|rule| rule.spec.enabled).collect();
        enabled.sort_by_key(|rule| (rule.created_at, rule.rule_id));
        let (mut set, mut invalid) = (Self::default(), Vec::new());
        for rule in enabled {
            match rule.spec.effective_conditions() {
                Ok(conditions) => set.add(CompiledRule::new(rule, conditions)),
                Err(reason) => invalid.push((rule.rule_id, reason)),
            }
        }
        (set, invalid)
    }

    /// How many rules judge.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn add(&mut self, rule: CompiledRule) {
        let index = self.rules.len();
        for condition in &rule.conditions {
            let usage = self.by_metric.entry(Arc::clone(&condition.metric)).or_default();
            if usage.rules.last() != Some(&index) {
                usage.rules.push(index);
            }
            if let Some(window) = &condition.window {
                if !usage.runs.contains(&window.run) {
                    usage.runs.push(Arc::clone(&window.run));
                }
                self.by_run.entry(Arc::clone(&window.run)).or_default().push(index);
            }
        }
        self.by_id.insert(rule.rule_id, index);
        self.rules.push(rule);
    }

    pub(super) fn rule(&self, index: usize) -> Option<&CompiledRule> {
        self.rules.get(index)
    }

    pub(super) fn by_id(&self, rule_id: RuleId) -> Option<&CompiledRule> {
        self.by_id.get(&rule_id).and_then(|index| self.rules.get(*index))
    }

    pub(super) fn metric(&self, name: &str) -> Option<&MetricUse> {
        self.by_metric.get(name)
    }

    /// Whether a rule that applies to the device waits for this comparison.
    pub(super) fn follows_run(&self, run: &str, device: &DueDevice) -> bool {
        let rules = self.by_run.get(run).map(Vec::as_slice).unwrap_or_default();
        rules.iter().filter_map(|index| self.rules.get(*index)).any(|rule| rule.applies_to(device))
    }
}

impl CompiledRule {
    fn new(rule: &Rule, conditions: Vec<Condition>) -> Self {
        let spec = &rule.spec;
        Self {
            rule_id: rule.rule_id,
            name: spec.name.clone(),
            severity: spec.severity,
            match_mode: spec.match_mode,
            conditions: conditions.into_iter().map(CompiledCondition::new).collect(),
            site_ids: spec.site_ids.iter().cloned().collect(),
            group_ids: spec.group_ids.iter().cloned().collect(),
            device_types: spec.device_types.iter().cloned().collect(),
        }
    }

    /// Whether the rule's sites, groups and types take the device in; an empty list takes in all.
    pub(super) fn applies_to(&self, device: &DueDevice) -> bool {
        (self.site_ids.is_empty() || self.site_ids.contains(&device.site_id))
            && (self.device_types.is_empty() || self.device_types.contains(&device.device_type))
            && (self.group_ids.is_empty() || device.group_ids.iter().any(|group| self.group_ids.contains(group)))
    }
}

impl CompiledCondition {
    fn new(condition: Condition) -> Self {
        let Condition { metric_name, operator, threshold, duration_seconds } = condition;
        let window = (duration_seconds > 0).then(|| Window {
            length: TimeDelta::seconds(duration_seconds.into()),
            run: format!("{metric_name} {} {threshold:?}", operator.as_str()).into(),
        });
        Self { metric: metric_name.into(), operator, threshold, duration_seconds, window }
    }

    pub(super) fn breaches(&self, value: f64) -> bool {
        self.operator.breaches(value, self.threshold)
    }
}
