//! One series of a counter with an open label: a count that can be closed, so that whoever adds too late is told.
//!
//! All of it is one atomic number. An addition that comes before the closing is in the count that the closer saw; one that comes after it is
//! refused and goes elsewhere. Nothing is lost and nothing counts twice, without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::KeyValue;

/// Set while the series is closed. A count never gets there: an f64, as `/metrics` shows it, is exact up to 2^53.
const CLOSED: u64 = 1 << 63;

/// A count under a fixed label set.
#[derive(Debug)]
pub(crate) struct Series {
    /// Which counter it is one of.
    pub(crate) counter: usize,
    /// Its value of the open label.
    pub(crate) value: Arc<str>,
    pub(crate) attributes: Vec<KeyValue>,
    count: AtomicU64,
    complained: AtomicBool,
}

impl Series {
    /// Closed to begin with.
    pub(crate) fn new(counter: usize, value: Arc<str>, attributes: Vec<KeyValue>) -> Self {
        Self { counter, value, attributes, count: AtomicU64::new(CLOSED), complained: AtomicBool::new(false) }
    }

    /// False when the series is closed: `n` is not in it.
    pub(crate) fn add(&self, n: u64) -> bool {
        self.count.load(Ordering::Relaxed) & CLOSED == 0 && self.count.fetch_add(n, Ordering::Relaxed) & CLOSED == 0
    }

    /// None while it is closed.
    pub(crate) fn count(&self) -> Option<u64> {
        Some(self.count.load(Ordering::Relaxed)).filter(|count| count & CLOSED == 0)
    }

    /// Begins, or begins again, with this count.
    pub(crate) fn open_at(&self, count: u64) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// False when the count is another one by now.
    pub(crate) fn close_at(&self, count: u64) -> bool {
        self.count.compare_exchange(count, count | CLOSED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// True the first time.
    pub(crate) fn complains_first(&self) -> bool {
        !self.complained.load(Ordering::Relaxed) && !self.complained.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        Series::new(0, Arc::from("acme"), Vec::new())
    }

    #[test]
    fn a_closed_series_counts_nothing() {
        let series = series();
        assert!(!series.add(1));
        assert_eq!(series.count(), None);
        series.open_at(0);
        assert!(series.add(2) && series.add(3));
        assert_eq!(series.count(), Some(5));
        assert!(!series.close_at(4), "it has moved on");
        assert!(series.close_at(5));
        assert!(!series.add(1));
        series.open_at(0);
        assert_eq!(series.count(), Some(0), "what was added too late left nothing behind");
    }

    /// Every addition is either in the count at a closing or refused.
    #[test]
    fn nothing_is_lost_between_adding_and_closing() {
        let series = Arc::new(series());
        let adders: Vec<_> = (0..2)
            .map(|_| {
                let series = Arc::clone(&series);
                std::thread::spawn(move || (0..200_000).filter(|_| !series.add(1)).count())
            })
            .collect();
        let mut counted = 0;
        while !adders.iter().all(std::thread::JoinHandle::is_finished) {
            series.open_at(0);
            std::thread::yield_now();
            counted += std::iter::from_fn(|| series.count()).find(|count| series.close_at(*count)).unwrap_or_default();
        }
        let refused: usize = adders.into_iter().map(|adder| adder.join().unwrap()).sum();
        assert_eq!(counted + refused as u64, 400_000);
    }
}
