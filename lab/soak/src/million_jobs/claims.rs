//! How long claims took, by how many jobs had gone before.

use std::time::Duration;

use serde::Serialize;

/// Full claims, each with the count of jobs that had left the queue before it.
#[derive(Debug, Default)]
pub(super) struct Claims(Vec<(u64, Duration)>);

/// The claims of a stretch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct ClaimTimes {
    pub(super) count: usize,
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
}

impl Claims {
    pub(super) fn add(&mut self, jobs_before: u64, took: Duration) {
        self.0.push((jobs_before, took));
    }

    /// Those of all workers.
    pub(super) fn all(of_each: Vec<Self>) -> Self {
        Self(of_each.into_iter().flat_map(|claims| claims.0).collect())
    }

    /// Of those begun from one count of jobs to another.
    pub(super) fn between(&self, from: u64, to: u64) -> ClaimTimes {
        let own = self.0.iter().filter(|(jobs_before, _)| (from..to).contains(jobs_before));
        let mut times_ms: Vec<f64> = own.map(|(_, took)| took.as_secs_f64() * 1e3).collect();
        times_ms.sort_by(f64::total_cmp);
        let at = |place: usize| times_ms.get(place).copied().unwrap_or_default();
        ClaimTimes { count: times_ms.len(), median_ms: at(times_ms.len() / 2), p95_ms: at(times_ms.len() * 95 / 100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_has_its_own_claims() {
        let mut claims = [Claims::default(), Claims::default()];
        for number in 0..100 {
            claims[0].add(number, Duration::from_millis(number + 1));
            claims[1].add(100 + number, Duration::from_millis(500));
        }
        let claims = Claims::all(claims.into());
        assert_eq!(claims.between(0, 100), ClaimTimes { count: 100, median_ms: 51.0, p95_ms: 96.0 });
        assert_eq!(claims.between(100, 200), ClaimTimes { count: 100, median_ms: 500.0, p95_ms: 500.0 });
        assert_eq!(claims.between(200, 300), ClaimTimes::default());
    }
}
