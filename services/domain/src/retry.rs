//! When a failed delivery is tried again: 30 s doubling to 2 h with jitter, Retry-After obeyed, 5 attempts, then dead.

use std::time::Duration;

use crate::Timestamp;
use crate::job::{Failure, Verdict};

/// The schedule of retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait after the first failure.
    pub base: Duration,
    /// The longest wait; also bounds what Retry-After may ask for.
    pub max: Duration,
    /// Attempts in all.
    pub attempts_max: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { base: Duration::from_secs(30), max: Duration::from_secs(2 * 60 * 60), attempts_max: 5 }
    }
}

impl RetryPolicy {
    /// What becomes of a job whose attempt number `attempt` (from 1) failed.
    ///
    /// `jitter` in 0..1 spreads the wait over its upper half (half to whole), so that a destination that failed many at once is not met
    /// by all of them again at once. Retry-After is a lower bound.
    pub fn after_failure(&self, failure: &Failure, attempt: u32, now: Timestamp, jitter: f64) -> Verdict {
        if !failure.is_retryable() || attempt >= self.attempts_max {
            return Verdict::Dead;
        }
        let doubled = self.base.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))).min(self.max);
        let jittered = doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        let wait = jittered.max(failure.retry_after.unwrap_or_default()).min(self.max);
        Verdict::Retry { run_at: now + wait }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::ErrorKind;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn failure(kind: ErrorKind, retry_after_seconds: Option<u64>) -> Failure {
        Failure { kind, http_status: None, detail: String::new(), retry_after: retry_after_seconds.map(Duration::from_secs) }
    }

    /// The wait in milliseconds; none: dead.
    fn wait(failure: &Failure, attempt: u32, jitter: f64) -> Option<i64> {
        match RetryPolicy::default().after_failure(failure, attempt, NOW, jitter) {
            Verdict::Retry { run_at } => Some((run_at - NOW).num_milliseconds()),
            Verdict::Dead => None,
            Verdict::Delivered => unreachable!("a failure is no delivery"),
        }
    }

    #[test]
    fn waits_double_from_thirty_seconds_until_the_job_is_dead() {
        let server = failure(ErrorKind::Server, None);
        for (attempt, full) in [(1, 30_000), (2, 60_000), (3, 120_000), (4, 240_000)] {
            assert_eq!(wait(&server, attempt, 1.0), Some(full), "attempt {attempt}");
            assert_eq!(wait(&server, attempt, 0.0), Some(full / 2), "attempt {attempt}");
        }
        assert_eq!(wait(&server, 5, 1.0), None);
        assert_eq!(wait(&server, u32::MAX, 1.0), None);
    }

    #[test]
    fn what_cannot_get_better_is_dead_at_once() {
        for kind in ErrorKind::ALL {
            let retried = matches!(kind, ErrorKind::Timeout | ErrorKind::Connect | ErrorKind::Server);
            assert_eq!(wait(&failure(kind, None), 1, 0.5).is_some(), retried, "{kind:?}");
        }
    }

    #[test]
    fn retry_after_is_a_lower_bound_within_reason() {
        for (seconds, expected) in [(1, 30_000), (90, 90_000), (7_200, 7_200_000), (1_000_000, 7_200_000)] {
            assert_eq!(wait(&failure(ErrorKind::Server, Some(seconds)), 1, 1.0), Some(expected), "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn waits_stay_within_their_bounds(attempt in 0..=4_u32, jitter in any::<f64>(), asked in prop::option::of(any::<u64>())) {
            let policy = RetryPolicy::default();
            let waited = wait(&failure(ErrorKind::Timeout, asked), attempt, jitter).unwrap();
            prop_assert!(waited >= 15_000 && waited <= i64::try_from(policy.max.as_millis()).unwrap());
        }

        #[test]
        fn no_attempt_is_made_beyond_the_last(attempt in 5_u32.., jitter in 0.0..1.0) {
            prop_assert_eq!(wait(&failure(ErrorKind::Connect, None), attempt, jitter), None);
        }
    }
}
