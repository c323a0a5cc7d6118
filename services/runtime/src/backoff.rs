//! How long a loop waits after a failure before it tries again: the one backoff of all services.

use std::time::Duration;

/// The wait after a first failure.
const MIN: Duration = Duration::from_millis(100);

/// The waits between attempts that fail: from 100 ms doubling to a longest one, and of each the upper half is random, so that replicas do
/// not march in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    max: Duration,
    /// Failures in a row.
    failures: u32,
}

impl Backoff {
    /// A backoff whose waits are at most this long.
    pub const fn up_to(max: Duration) -> Self {
        Self { max, failures: 0 }
    }

    /// An attempt has failed: how long to wait before the next one.
    pub fn failed(&mut self) -> Duration {
        let full = MIN.saturating_mul(2u32.saturating_pow(self.failures)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }

    /// An attempt has succeeded: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many attempts have failed since one succeeded.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_bound_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::up_to(Duration::from_secs(1));
        for round in 0..2 {
            for full in [100, 200, 400, 800, 1_000, 1_000] {
                let wait = backoff.failed().as_millis();
                assert!((full / 2..=full).contains(&wait), "{round}: {wait} of {full}");
            }
            backoff.reset();
        }
        backoff.failures = u32::MAX;
        assert!(backoff.failed() <= Duration::from_secs(1));
        assert_eq!(backoff.failures(), u32::MAX);
    }
}
