//! When a failure that goes on is logged: at once when it begins, then once a minute, and when it has ended.

use std::time::{Duration, Instant};

/// How often a failure that goes on is logged.
const EVERY: Duration = Duration::from_secs(60);

/// A failure that comes again and again while something is away. It decides when a line is due; the caller writes it.
#[derive(Debug, Default)]
pub struct Outage(Option<State>);

#[derive(Debug)]
struct State {
    began: Instant,
    /// The latest failure.
    latest: Instant,
    said: Instant,
    /// Failures since the last line.
    unsaid: u64,
}

impl Outage {
    /// It failed. Some, when a line is due: how many failures there were since the last line, this one included.
    pub fn failed(&mut self) -> Option<u64> {
        self.failed_at(Instant::now())
    }

    fn failed_at(&mut self, now: Instant) -> Option<u64> {
        // Where success is not told, a minute without failures is one.
        match &mut self.0 {
            Some(state) if now.duration_since(state.latest) < EVERY => {
                state.latest = now;
                state.unsaid += 1;
                if now.duration_since(state.said) < EVERY {
                    return None;
                }
                state.said = now;
                Some(std::mem::take(&mut state.unsaid))
            }
            _ => {
                self.0 = Some(State { began: now, latest: now, said: now, unsaid: 0 });
                Some(1)
            }
        }
    }

    /// Whether the latest that was told is a failure.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// It succeeded. Some, when it had failed: for how long.
    pub fn ended(&mut self) -> Option<Duration> {
        self.0.take().map(|state| state.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_logged_once_a_minute() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let mut said = Vec::new();
        for tenth in 0..1_250 {
            if let Some(failures) = outage.failed_at(start + Duration::from_millis(tenth * 100)) {
                said.push((tenth / 10, failures));
            }
        }
        assert_eq!(said, [(0, 1), (60, 600), (120, 600)]);
        assert!(outage.is_on() && outage.ended().is_some() && !outage.is_on());
        assert_eq!(outage.ended(), None);
        assert_eq!(outage.failed_at(start), Some(1), "the next one is said at once");
        assert_eq!(outage.failed_at(start + EVERY), Some(1), "after a quiet minute it is another one");
    }
}
