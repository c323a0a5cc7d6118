//! What devices say: values that cross thresholds both ways, and tell which reading they are of.

use serde_json::{Map, Value, json};

/// A metric with a rule at more than [`THRESHOLD`], and how many readings in a row are on one side of it.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub severity: u8,
    /// For every fourth device, and for the others.
    runs: (i64, i64),
}

/// Every fourth device opens or closes an alert with each of its readings; the second metric is slower.
pub const METRICS: [Metric; 2] = [Metric { name: "temp", severity: 4, runs: (1, 8) }, Metric { name: "damp", severity: 2, runs: (13, 13) }];

/// What the rules compare with: between the two sides of every metric.
pub const THRESHOLD: f64 = 500.0;

/// Added to the number of a reading that breaches.
const BREACH: f64 = 1_000.0;

/// The metrics of a device's reading.
pub(super) fn values(device: usize, seq: i64) -> Map<String, Value> {
    let of = |metric: &Metric| {
        let run = if device.is_multiple_of(4) { metric.runs.0 } else { metric.runs.1 };
        let breaches = (seq / run) % 2 == 1;
        // Exact: readings are far fewer than 2^53.
        #[allow(clippy::cast_precision_loss, reason = "a device sends less than 2^53 readings")]
        let number = seq as f64;
        (metric.name.to_owned(), json!(if breaches { BREACH + number } else { -number }))
    };
    METRICS.iter().map(of).collect()
}

/// Whether a value is beyond the threshold.
pub fn is_breach(value: f64) -> bool {
    value > THRESHOLD
}

/// Which reading a value is of that breaches.
#[allow(clippy::cast_possible_truncation, reason = "it is a whole number, as it was made from one")]
pub fn seq_of(value: f64) -> i64 {
    (value - BREACH) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cross_the_threshold_and_tell_their_reading() {
        let temps: Vec<f64> = (0..4).map(|seq| values(0, seq)["temp"].as_f64().unwrap()).collect();
        assert_eq!(temps, [0.0, 1_001.0, -2.0, 1_003.0]);
        let breaches = (0..32).filter(|seq| is_breach(values(1, *seq)["temp"].as_f64().unwrap())).collect::<Vec<_>>();
        assert_eq!(breaches, (8..16).chain(24..32).collect::<Vec<_>>());
        assert_eq!(seq_of(1_003.0), 3);
    }
}
