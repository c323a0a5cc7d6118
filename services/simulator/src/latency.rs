//! Latencies: recorded into a histogram of bounded size, told as percentiles in milliseconds.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::error::Result;

/// The longest latency told apart; longer ones count as this long.
const LONGEST_MICROS: u64 = 10 * 60 * 1_000_000;
/// A thousandth of the value is told apart up to here; enough for percentiles.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Percentiles in milliseconds; all 0 when nothing was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct LatencySummary {
    pub count: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// A histogram of microseconds.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// An empty one.
    pub fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_MICROS, SIGNIFICANT_DIGITS)?))
    }

    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so that adding cannot fail.
        self.0.add(&other.0).unwrap_or(());
    }

    /// The percentiles so far.
    pub fn summary(&self) -> LatencySummary {
        if self.0.is_empty() {
            return LatencySummary::default();
        }
        LatencySummary {
            count: self.0.len(),
            p50_ms: millis(self.0.value_at_quantile(0.5)),
            p95_ms: millis(self.0.value_at_quantile(0.95)),
            p99_ms: millis(self.0.value_at_quantile(0.99)),
            max_ms: millis(self.0.max()),
        }
    }
}

/// Latencies that several tasks record into.
#[derive(Debug)]
pub struct SharedLatencies(Mutex<Latencies>);

impl SharedLatencies {
    /// An empty one.
    pub fn new() -> Result<Self> {
        Latencies::new().map(|latencies| Self(Mutex::new(latencies)))
    }

    /// Counts one.
    pub fn record(&self, latency: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).record(latency);
    }

    /// The percentiles so far.
    pub fn summary(&self) -> LatencySummary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).summary()
    }
}

/// To a thousandth, without the digits that binary fractions add.
fn millis(micros: u64) -> f64 {
    u32::try_from(micros).map_or(f64::INFINITY, f64::from) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_recorded() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.summary(), LatencySummary::default());
        for ms in 1..=100 {
            latencies.record(Duration::from_millis(ms));
        }
        let mut slow = Latencies::new().unwrap();
        slow.record(Duration::from_secs(3_600));
        latencies.add(&slow);
        let summary = latencies.summary();
        assert_eq!(summary.count, 101);
        assert!((summary.p50_ms - 51.0).abs() < 0.1, "{summary:?}");
        assert!((summary.p99_ms - 100.0).abs() < 0.2, "{summary:?}");
        assert!((summary.max_ms - 600_000.0).abs() < 600.0, "{summary:?}");
        assert_eq!(millis(12_967).to_string(), "12.967");
    }
}
