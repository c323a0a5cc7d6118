//! Rules: what a tenant says is wrong with a device.

use serde::{Deserialize, Serialize};

use crate::ids::{GroupId, RuleId, SiteId, TenantId};
use crate::{Timestamp, reading};

/// Severity from 1 to 5; 5 is the most severe, everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Severity(u8);

/// A severity outside 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("severity must be a whole number from 1 to 5 (5 is the most severe)")]
pub struct InvalidSeverity;

impl Severity {
    pub const MIN: Self = Self(1);
    pub const MAX: Self = Self(5);

    pub fn new(value: u8) -> Result<Self, InvalidSeverity> {
        if (1..=5).contains(&value) { Ok(Self(value)) } else { Err(InvalidSeverity) }
    }

    pub fn get(self) -> u8 {
        self.0
    }

    /// One step more severe, at most 5: what an escalation does.
    #[must_use]
    pub fn raised(self) -> Self {
        Self((self.0 + 1).min(Self::MAX.0))
    }
}

impl TryFrom<u8> for Severity {
    type Error = InvalidSeverity;
    fn try_from(value: u8) -> Result<Self, InvalidSeverity> {
        Self::new(value)
    }
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> Self {
        severity.0
    }
}

/// How a value is compared with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operator {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Operator {
    /// Whether `value` breaches `threshold`.
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Gt => value > threshold,
            Self::Gte => value >= threshold,
            Self::Lt => value < threshold,
            Self::Lte => value <= threshold,
        }
    }

    /// The name in the API and in an alert's details.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gt => "GT",
            Self::Gte => "GTE",
            Self::Lt => "LT",
            Self::Lte => "LTE",
        }
    }

    /// The sign in an alert's summary.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Gte => "≥",
            Self::Lt => "<",
            Self::Lte => "≤",
        }
    }
}

/// One comparison, held for `duration_seconds` when that is more than 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub metric_name: String,
    pub operator: Operator,
    pub threshold: f64,
    /// Every sample over this window must breach and the window must be covered; 0: one sample is enough.
    #[serde(default)]
    pub duration_seconds: u32,
}

/// Whether all conditions or any one must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchMode {
    #[default]
    All,
    Any,
}

impl MatchMode {
    /// The name in the API and in an alert's details.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
        }
    }
}

/// What kind of judgement a rule makes. Later kinds (anomaly, silent metric) are further variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RuleType {
    /// Values against thresholds.
    #[default]
    Threshold,
}

/// What a tenant writes: the body of the API's rule.
///
/// `conditions` empty means the rule's own columns (`metric_name`, `operator`, `threshold`, `duration_seconds`) are its one condition.
/// Empty `site_ids`, `group_ids` and `device_types` each mean all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    pub name: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub rule_type: RuleType,
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Operator>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    #[serde(default)]
    pub duration_seconds: u32,
    #[serde(default)]
    pub conditions: Vec<Condition>,
    #[serde(default)]
    pub match_mode: MatchMode,
    #[serde(default)]
    pub site_ids: Vec<SiteId>,
    #[serde(default)]
    pub group_ids: Vec<GroupId>,
    #[serde(default)]
    pub device_types: Vec<String>,
}

fn yes() -> bool {
    true
}

/// The most conditions in one rule.
pub const CONDITIONS_MAX: usize = 16;
/// The longest window of a condition: a day, in seconds.
pub const DURATION_MAX_SECONDS: u32 = 86_400;

/// A rule that makes no sense; the text says what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRule(String);

impl RuleSpec {
    /// The conditions in force, checked: its list, or its own columns when the list is empty.
    pub fn effective_conditions(&self) -> Result<Vec<Condition>, InvalidRule> {
        let conditions = if self.conditions.is_empty() { vec![self.own_condition()?] } else { self.conditions.clone() };
        if conditions.len() > CONDITIONS_MAX {
            return Err(InvalidRule(format!("a rule has at most {CONDITIONS_MAX} conditions, this one has {}", conditions.len())));
        }
        for condition in &conditions {
            check_metric_name(&condition.metric_name)?;
            if !condition.threshold.is_finite() {
                return Err(InvalidRule("threshold must be a finite number".into()));
            }
            check_duration(condition.duration_seconds)?;
        }
        Ok(conditions)
    }

    fn own_condition(&self) -> Result<Condition, InvalidRule> {
        let missing =
            |field| InvalidRule(format!("{field} is missing: a rule with no conditions needs metric_name, operator and threshold"));
        Ok(Condition {
            metric_name: self.metric_name.clone().ok_or_else(|| missing("metric_name"))?,
            operator: self.operator.ok_or_else(|| missing("operator"))?,
            threshold: self.threshold.ok_or_else(|| missing("threshold"))?,
            duration_seconds: self.duration_seconds,
        })
    }

    /// Whether it can be kept: a name, and conditions that make sense.
    pub fn validate(&self) -> Result<(), InvalidRule> {
        if self.name.trim().is_empty() || self.name.len() > 200 {
            return Err(InvalidRule("name must be 1 to 200 bytes and not blank".into()));
        }
        // Its own columns are kept beside a list too.
        self.metric_name.as_deref().map_or(Ok(()), check_metric_name)?;
        check_duration(self.duration_seconds)?;
        self.effective_conditions().map(drop)
    }
}

fn check_metric_name(name: &str) -> Result<(), InvalidRule> {
    reading::check_metric_name(name).map_err(|reason| InvalidRule(format!("metric_name {name:?}: {reason}")))
}

fn check_duration(seconds: u32) -> Result<(), InvalidRule> {
    if seconds > DURATION_MAX_SECONDS {
        return Err(InvalidRule(format!("duration_seconds must be 0 to {DURATION_MAX_SECONDS}")));
    }
    Ok(())
}

/// A rule as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub tenant_id: TenantId,
    pub rule_id: RuleId,
    #[serde(flatten)]
    pub spec: RuleSpec,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Why the rule cannot be evaluated, when it cannot; set by the evaluator.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mut body: serde_json::Value) -> RuleSpec {
        let fields = body.as_object_mut().unwrap();
        fields.entry("name").or_insert("r".into());
        fields.entry("severity").or_insert(3.into());
        serde_json::from_value(body).unwrap()
    }

    fn condition(metric: &str) -> serde_json::Value {
        serde_json::json!({"metric_name": metric, "operator": "LT", "threshold": 1, "duration_seconds": 60})
    }

    #[test]
    fn its_own_columns_are_the_condition_of_a_rule_without_a_list() {
        let own = serde_json::json!({"metric_name": "t", "operator": "GT", "threshold": 5, "duration_seconds": 9});
        let conditions = spec(own.clone()).effective_conditions().unwrap();
        assert_eq!(conditions, [Condition { metric_name: "t".into(), operator: Operator::Gt, threshold: 5.0, duration_seconds: 9 }]);
        let mut listed = own;
        listed["conditions"] = serde_json::json!([condition("u")]);
        assert_eq!(spec(listed).effective_conditions().unwrap()[0].metric_name, "u");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let many: Vec<_> = (0..=CONDITIONS_MAX).map(|n| condition(&format!("m{n}"))).collect();
        for (body, says) in [
            (serde_json::json!({}), "metric_name is missing"),
            (serde_json::json!({"metric_name": "t"}), "operator is missing"),
            (serde_json::json!({"metric_name": "t", "operator": "GT"}), "threshold is missing"),
            (serde_json::json!({"metric_name": " t", "operator": "GT", "threshold": 1}), "blank"),
            (serde_json::json!({"metric_name": "t", "operator": "GT", "threshold": 1, "duration_seconds": 86_401}), "0 to 86400"),
            (serde_json::json!({"conditions": many}), "at most 16 conditions"),
            (serde_json::json!({"conditions": [condition("t")], "name": " "}), "name must be"),
            (serde_json::json!({"conditions": [condition("t")], "metric_name": "a\u{0}b"}), "control characters"),
            (serde_json::json!({"conditions": [condition("t")], "duration_seconds": u32::MAX}), "0 to 86400"),
        ] {
            let error = spec(body).validate().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let mut infinite = spec(serde_json::json!({"conditions": [condition("t")]}));
        infinite.conditions[0].threshold = f64::INFINITY;
        assert!(infinite.validate().unwrap_err().to_string().contains("finite"));
        assert_eq!(spec(serde_json::json!({"conditions": [condition("t")]})).validate(), Ok(()));
    }

    #[test]
    fn severity_is_one_to_five_and_rises_to_five() {
        for value in 0..=u8::MAX {
            assert_eq!(Severity::new(value).is_ok(), (1..=5).contains(&value), "{value}");
        }
        let mut severity = Severity::MIN;
        for expected in [2, 3, 4, 5, 5] {
            severity = severity.raised();
            assert_eq!(severity.get(), expected);
        }
    }

    #[test]
    fn names_are_those_of_the_stored_form() {
        for operator in [Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte] {
            assert_eq!(serde_json::to_value(operator).unwrap(), operator.as_str());
        }
        for mode in [MatchMode::All, MatchMode::Any] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
    }
}
