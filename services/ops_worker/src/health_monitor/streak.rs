//! When a service counts as down: after some failed checks in a row, so that one lost packet wakes nobody. Pure.

use pulse_domain::Timestamp;

use super::check::CheckError;

/// Failed checks in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Streak {
    failures: u32,
    since: Option<Timestamp>,
}

/// What the checks so far say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Up,
    /// Failed, but not often enough to say.
    Undecided,
    /// `since`: the first failed check of the row.
    Down {
        error: CheckError,
        since: Timestamp,
    },
}

impl Streak {
    pub(crate) fn add(&mut self, result: Result<(), CheckError>, failures_to_open: u32, now: Timestamp) -> Verdict {
        let Err(error) = result else {
            *self = Self::default();
            return Verdict::Up;
        };
        self.failures = self.failures.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        if self.failures >= failures_to_open { Verdict::Down { error, since } } else { Verdict::Undecided }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn only_failures_in_a_row_count_and_the_first_says_since_when() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let failed = || Err(CheckError::Connect);
        let mut streak = Streak::default();
        assert_eq!(streak.add(failed(), 2, at(0)), Verdict::Undecided);
        assert_eq!(streak.add(Ok(()), 2, at(10)), Verdict::Up);
        assert_eq!(streak.add(failed(), 2, at(20)), Verdict::Undecided);
        assert_eq!(streak.add(failed(), 2, at(30)), Verdict::Down { error: CheckError::Connect, since: at(20) });
        assert_eq!(streak.add(Err(CheckError::Status(500)), 2, at(40)), Verdict::Down { error: CheckError::Status(500), since: at(20) });
        assert_eq!(streak.add(Ok(()), 2, at(50)), Verdict::Up);
    }
}
