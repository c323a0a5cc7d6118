//! Where a chart's marks stand: round values upwards, round times along.

use crate::unit::Unit;

/// Round values from `low` to at least `high`, about four of them.
pub(super) fn marks(unit: Unit, low: f64, high: f64) -> Vec<f64> {
    let base = base(unit, low.abs().max(high.abs()));
    let step = match unit {
        Unit::YesNo => 1.0,
        _ => round((high - low) / 4.0 / base) * base,
    };
    let first = (low / step).floor();
    let mut marks = vec![first * step];
    let mut n = first;
    while marks.last().is_some_and(|last| *last < high - step * 1e-9) {
        n += 1.0;
        marks.push(n * step);
    }
    marks
}

/// Round moments within the time, no more than seven.
pub(super) fn moments(start: f64, end: f64) -> Vec<f64> {
    const STEPS: [f64; 13] = [5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 10_800.0, 21_600.0, 86_400.0];
    let step = STEPS.into_iter().find(|step| (end - start) / step <= 7.0).unwrap_or(604_800.0);
    let mut moments = Vec::new();
    let mut moment = (start / step).ceil() * step;
    while moment <= end {
        moments.push(moment);
        moment += step;
    }
    moments
}

/// What the unit counts by at this size: kibibytes, minutes.
fn base(unit: Unit, size: f64) -> f64 {
    let bases: &[f64] = match unit {
        Unit::Bytes => &[1.0, 1_024.0, 1_048_576.0, 1_073_741_824.0],
        Unit::Seconds => &[1.0, 60.0, 3_600.0, 86_400.0],
        _ => &[1.0],
    };
    bases.iter().copied().rfind(|base| *base <= size).unwrap_or(1.0)
}

/// The next of 1, 2, 2.5 and 5 times a power of ten.
fn round(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0].into_iter().map(|n| n * power).find(|n| *n >= value * 0.999).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        assert_eq!(marks(Unit::Count, 0.0, 14.6), [0.0, 5.0, 10.0, 15.0]);
        assert_eq!(marks(Unit::Count, 0.0, 1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(marks(Unit::YesNo, 0.0, 1.0), [0.0, 1.0]);
        assert_eq!(marks(Unit::Seconds, 0.0, 240.0), [0.0, 60.0, 120.0, 180.0, 240.0]);
        assert_eq!(marks(Unit::Count, -1.0, 1.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(marks(Unit::Bytes, 0.0, 3_000_000.0).len(), 4);
    }

    #[test]
    fn moments_are_round() {
        assert_eq!(moments(59.0, 301.0), [60.0, 120.0, 180.0, 240.0, 300.0]);
        assert!(moments(0.0, 10.0 * 86_400.0).len() <= 7);
    }
}
