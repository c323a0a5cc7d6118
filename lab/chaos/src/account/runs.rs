//! Runs of readings beyond a threshold: the alerts that there must be.

use std::collections::BTreeMap;

use crate::load::{is_breach, seq_of};

/// A device and a metric.
pub(super) type Place = (String, &'static str);

/// The first reading of a run, and its last where the run has ended.
pub(super) type Run = (i64, Option<i64>);

/// The runs of each device and metric.
pub(super) type Runs = BTreeMap<Place, Vec<Run>>;

/// The runs in a metric's values, which are in the order in which they were stored.
pub(super) fn runs(values: impl IntoIterator<Item = f64>) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut current: Option<(i64, i64)> = None;
    for value in values {
        match (is_breach(value), current) {
            (true, None) => current = Some((seq_of(value), seq_of(value))),
            (true, Some((first, _))) => current = Some((first, seq_of(value))),
            (false, Some((first, last))) => {
                runs.push((first, Some(last)));
                current = None;
            }
            (false, None) => {}
        }
    }
    runs.extend(current.map(|(first, _)| (first, None)));
    runs
}

/// What is in one and not in the other: missing, and surplus. Equal ones may be there more than once.
pub(super) fn compare(mut expected: Vec<Run>, mut found: Vec<Run>) -> (Vec<Run>, Vec<Run>) {
    expected.sort_unstable();
    found.sort_unstable();
    let mut missing = Vec::new();
    for run in expected {
        match found.binary_search(&run) {
            Ok(position) => drop(found.remove(position)),
            Err(_) => missing.push(run),
        }
    }
    (missing, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_a_first_and_a_last_reading() {
        assert_eq!(runs([0.0, 1_001.0, 1_002.0, -3.0, 1_004.0, -5.0, 1_006.0]), [(1, Some(2)), (4, Some(4)), (6, None)]);
        assert_eq!(runs([1_001.0, -2.0, 1_001.0, -2.0]), [(1, Some(1)), (1, Some(1))], "a reading that came late once more");
        assert_eq!(runs([]), []);
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_is_told_apart() {
        let (missing, surplus) = compare(vec![(1, Some(2)), (1, Some(2)), (5, None)], vec![(5, None), (1, Some(2)), (3, Some(3))]);
        assert_eq!((missing, surplus), (vec![(1, Some(2))], vec![(3, Some(3))]));
    }
}
