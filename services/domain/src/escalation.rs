//! Escalation: an alert that nobody acknowledges grows louder, level by level.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::alert::{Alert, AlertStatus};
use crate::ids::{PolicyId, TenantId};
use crate::rule::Severity;

/// The most levels in one policy.
pub const LEVELS_MAX: usize = 10;

/// One level: how long an alert stays open and unacknowledged before it is escalated to it, counted from the alert's opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    pub after_seconds: u32,
}

/// What a tenant writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    pub name: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Alerts from this severity up.
    #[serde(default = "lowest")]
    pub min_severity: Severity,
    /// In ascending order of `after_seconds`.
    pub levels: Vec<Level>,
}

fn yes() -> bool {
    true
}
fn lowest() -> Severity {
    Severity::MIN
}

/// A policy as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub tenant_id: TenantId,
    pub policy_id: PolicyId,
    #[serde(flatten)]
    pub spec: PolicySpec,
    pub created_at: Timestamp,
}

/// A policy that makes no sense; the text says what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPolicy(String);

impl PolicySpec {
    /// Whether it can be kept.
    pub fn validate(&self) -> Result<(), InvalidPolicy> {
        if self.name.trim().is_empty() || self.name.len() > 200 {
            return Err(InvalidPolicy("name must be 1 to 200 bytes and not blank".into()));
        }
        if self.levels.is_empty() || self.levels.len() > LEVELS_MAX {
            return Err(InvalidPolicy(format!("levels must hold 1 to {LEVELS_MAX} levels, this one holds {}", self.levels.len())));
        }
        if !self.levels.is_sorted_by(|a, b| a.after_seconds < b.after_seconds) {
            return Err(InvalidPolicy("levels must be in ascending order of after_seconds, each larger than the one before".into()));
        }
        Ok(())
    }

    /// The level an alert has reached by `now`, from 1; none when it is not one of the policy's, is not open, is silenced, or no further
    /// level has come due. Levels that were missed are passed over: the highest that is due counts.
    pub fn due_level(&self, alert: &Alert, now: Timestamp) -> Option<u32> {
        if !self.enabled
            || alert.status != AlertStatus::Open
            || alert.severity < self.min_severity
            || alert.silenced_until.is_some_and(|until| until > now)
        {
            return None;
        }
        let open_for = now - alert.created_at;
        let reached = self.levels.iter().filter(|level| open_for >= TimeDelta::seconds(level.after_seconds.into())).count();
        let reached = u32::try_from(reached).unwrap_or(u32::MAX);
        (reached > alert.escalation_level).then_some(reached)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::tests::alert;

    fn policy(levels: &[u32]) -> PolicySpec {
        let levels = levels.iter().map(|after_seconds| Level { after_seconds: *after_seconds }).collect();
        PolicySpec { name: "p".to_owned(), enabled: true, min_severity: Severity::MIN, levels }
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn the_highest_level_that_is_due_counts() {
        for (seconds, reached, due) in [
            (59, 0, None),
            (60, 0, Some(1)),
            (60, 1, None),
            (299, 1, None),
            (300, 1, Some(2)),
            (9_999, 0, Some(3)),
            (9_999, 2, Some(3)),
            (9_999, 3, None),
            (9_999, 7, None),
            (-5, 0, None),
        ] {
            let mut alert = alert();
            alert.escalation_level = reached;
            assert_eq!(policy(&[60, 300, 900]).due_level(&alert, after(seconds)), due, "{seconds} s at level {reached}");
        }
    }

    #[test]
    fn only_open_alerts_that_are_severe_enough_and_not_silenced_are_escalated() {
        let due = |change: fn(&mut Alert, &mut PolicySpec)| {
            let (mut alert, mut policy) = (alert(), policy(&[60]));
            change(&mut alert, &mut policy);
            policy.due_level(&alert, after(60)).is_some()
        };
        assert!(due(|_, _| {}));
        assert!(!due(|_, policy| policy.enabled = false));
        assert!(!due(|_, policy| policy.min_severity = Severity::MAX));
        assert!(!due(|alert, _| alert.status = AlertStatus::Acknowledged));
        assert!(!due(|alert, _| alert.status = AlertStatus::Closed));
        assert!(!due(|alert, _| alert.silenced_until = Some(after(61))));
        assert!(due(|alert, _| alert.silenced_until = Some(after(60))));
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused() {
        for (levels, says) in
            [(vec![], "1 to 10 levels"), (vec![1; 11], "1 to 10 levels"), (vec![5, 5], "ascending"), (vec![9, 3], "ascending")]
        {
            assert!(policy(&levels).validate().unwrap_err().to_string().contains(says), "{levels:?}");
        }
        let blank = PolicySpec { name: " ".to_owned(), ..policy(&[1]) };
        assert!(blank.validate().unwrap_err().to_string().contains("name"));
        assert_eq!(policy(&[1, 2]).validate(), Ok(()));
    }

    proptest! {
        #[test]
        fn levels_only_rise_and_never_beyond_the_last(mut steps in prop::collection::btree_set(0..5_000_u32, 1..8), times in prop::collection::vec(0..6_000_i64, 1..9)) {
            let levels: Vec<u32> = std::mem::take(&mut steps).into_iter().collect();
            let policy = policy(&levels);
            let mut alert = alert();
            let mut latest = 0;
            for seconds in times {
                latest = latest.max(seconds);
                if let Some(level) = policy.due_level(&alert, after(latest)) {
                    prop_assert!(level > alert.escalation_level && level as usize <= levels.len());
                    alert.escalation_level = level;
                }
                let expected = levels.iter().filter(|level| i64::from(**level) <= latest).count();
                prop_assert_eq!(alert.escalation_level as usize, expected);
            }
        }
    }
}
