//! One value of an open label: its place in the [`Budget`](super::budget::Budget), if it has one, and its series.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::reserved::SETS_PER_VALUE_MAX;
use super::series::Series;

/// What a value wants a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It records something.
    Record,
    /// It is bound or shown, and gives way to those that record.
    Show,
}

/// Why a series cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManySets;

/// What is known of a value.
#[derive(Debug)]
pub(crate) struct Holder {
    value: Arc<str>,
    place: Place,
    /// Those of all counters: open as long as there is a place, kept closed while a handle waits for one.
    series: Vec<Arc<Series>>,
    /// How many snapshots show it.
    shown: usize,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    None,
    /// Outside the budget.
    Always,
    Own {
        /// The sum of all counts when it was last looked at.
        seen: u64,
        /// When that sum was last found to have moved.
        moved: Instant,
        /// Whether somebody has spoken of it since it was last looked at, and when that was last found.
        asked: bool,
        mentioned: Instant,
        /// Whether somebody who records may have the place.
        yields: bool,
    },
}

/// What a look at a holder comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Keeps,
    /// From now on its place is to be had.
    Yields,
    /// It has lost its place.
    Freed,
}

impl Holder {
    /// `always`: it has a place outside the budget.
    pub(crate) fn new(value: Arc<str>, always: bool) -> Self {
        Self { value, place: if always { Place::Always } else { Place::None }, series: Vec::new(), shown: 0 }
    }

    pub(crate) fn has_place(&self) -> bool {
        !matches!(self.place, Place::None)
    }

    /// Whether it is to be remembered.
    pub(crate) fn is_needed(&self) -> bool {
        self.has_place() || self.shown > 0 || !self.series.is_empty()
    }

    /// Is given a place; its series begin, or begin again, at 0.
    pub(crate) fn open(&mut self, claim: Claim, now: Instant) {
        self.place = Place::Own { seen: 0, moved: now, asked: false, mentioned: now, yields: claim == Claim::Show };
        self.series.iter().for_each(|series| series.open_at(0));
    }

    /// It has a place and asks again.
    pub(crate) fn renew(&mut self, claim: Claim) {
        if let Place::Own { asked, yields, .. } = &mut self.place {
            *asked = true;
            *yields &= claim == Claim::Show;
        }
    }

    pub(crate) fn begin_to_show(&mut self) {
        self.shown += 1;
    }

    pub(crate) fn cease_to_show(&mut self) {
        self.shown = self.shown.saturating_sub(1);
    }

    /// The series with these attributes, made where there is none.
    ///
    /// # Errors
    /// When it would be one too many.
    pub(crate) fn series(&mut self, counter: usize, attributes: &[KeyValue]) -> Result<Arc<Series>, TooManySets> {
        let mut own = self.series.iter().filter(|series| series.counter == counter);
        if let Some(found) = own.clone().find(|series| series.attributes == attributes) {
            return Ok(Arc::clone(found));
        }
        if own.nth(SETS_PER_VALUE_MAX - 1).is_some() {
            return Err(TooManySets);
        }
        let new = Arc::new(Series::new(counter, Arc::clone(&self.value), attributes.to_vec()));
        if self.has_place() {
            new.open_at(0);
        }
        self.series.push(Arc::clone(&new));
        Ok(new)
    }

    /// How many series it has.
    pub(crate) fn sets(&self) -> usize {
        self.series.len()
    }

    /// The open series of a counter.
    pub(crate) fn counts(&self, counter: usize) -> impl Iterator<Item = (&Arc<Series>, u64)> {
        self.counted().filter(move |(series, _)| series.counter == counter)
    }

    /// Notes whether it has recorded something. When it has not for `idle_after`, it keeps its place only for who shows or speaks of it and
    /// until somebody needs it.
    pub(crate) fn look(&mut self, now: Instant, idle_after: Duration) -> Look {
        let has_moved = self.has_moved(now);
        let Place::Own { moved, asked, mentioned, yields, .. } = &mut self.place else {
            self.forget_unheld();
            return Look::Keeps;
        };
        if std::mem::take(asked) {
            *mentioned = now;
        }
        if has_moved || now.duration_since(*moved) < idle_after {
            return Look::Keeps;
        }
        if self.shown > 0 || now.duration_since(*mentioned) < idle_after {
            return if std::mem::replace(yields, true) { Look::Keeps } else { Look::Yields };
        }
        if self.close(now) { Look::Freed } else { Look::Keeps }
    }

    /// Gives its place to one that records. False when it has none to give.
    pub(crate) fn give_way(&mut self, now: Instant) -> bool {
        matches!(self.place, Place::Own { yields: true, .. }) && !self.has_moved(now) && self.close(now)
    }

    fn has_moved(&mut self, now: Instant) -> bool {
        let sum = self.counted().fold(0, |sum: u64, (_, count)| sum.wrapping_add(count));
        match &mut self.place {
            Place::Own { seen, moved, yields, .. } if *seen != sum => {
                (*seen, *moved, *yields) = (sum, now, false);
                true
            }
            _ => false,
        }
    }

    /// False when something was recorded since the last look: then all is as it was.
    fn close(&mut self, now: Instant) -> bool {
        let Place::Own { seen, .. } = self.place else { return false };
        let counts: Vec<_> = self.counted().collect();
        if counts.iter().fold(0, |sum: u64, (_, count)| sum.wrapping_add(*count)) != seen || !close_all(&counts) {
            self.has_moved(now);
            return false;
        }
        self.place = Place::None;
        self.forget_unheld();
        true
    }

    fn counted(&self) -> impl Iterator<Item = (&Arc<Series>, u64)> {
        self.series.iter().filter_map(|series| Some((series, series.count()?)))
    }

    /// Drops series that are closed and that no handle waits with.
    fn forget_unheld(&mut self) {
        if !self.has_place() {
            self.series.retain(|series| Arc::strong_count(series) > 1);
        }
    }
}

/// All or none.
fn close_all(counts: &[(&Arc<Series>, u64)]) -> bool {
    let moved = counts.iter().position(|(series, count)| !series.close_at(*count));
    // What was added to these meanwhile was refused and is counted elsewhere.
    counts[..moved.unwrap_or_default()].iter().for_each(|(series, count)| series.open_at(*count));
    moved.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(holder: &Holder) -> u64 {
        if let Place::Own { seen, .. } = holder.place { seen } else { 0 }
    }

    /// Places are taken from one that records all the time: each addition is in what was seen before a closing, or was refused.
    #[test]
    fn what_a_closing_takes_away_was_seen_before() {
        let mut holder = Holder::new(Arc::from("acme"), false);
        let series: Vec<_> = (0..2).map(|counter| holder.series(counter, &[]).unwrap()).collect();
        let adders: Vec<_> = series
            .iter()
            .map(|series| {
                let series = Arc::clone(series);
                std::thread::spawn(move || (0..100_000).filter(|_| !series.add(1)).count() as u64)
            })
            .collect();
        let mut counted = 0;
        while !adders.iter().all(std::thread::JoinHandle::is_finished) || holder.has_place() {
            let now = Instant::now();
            if !holder.has_place() {
                holder.open(Claim::Record, now);
            }
            let before = seen(&holder);
            if holder.look(now, Duration::ZERO) == Look::Freed {
                counted += before;
            }
        }
        let refused: u64 = adders.into_iter().map(|adder| adder.join().unwrap()).sum();
        assert_eq!(counted + refused, 200_000);
    }

    #[test]
    fn only_one_that_records_nothing_gives_way() {
        let now = Instant::now();
        let mut holder = Holder::new(Arc::from("acme"), false);
        let series = holder.series(0, &[]).unwrap();
        assert!(!holder.give_way(now), "it has no place");
        holder.open(Claim::Record, now);
        assert!(!holder.give_way(now), "it is about to record");
        holder.open(Claim::Show, now);
        series.add(1);
        assert!(!holder.give_way(now) && holder.has_place());
        holder.open(Claim::Show, now);
        assert!(holder.give_way(now));
        assert!(!series.add(1) && !holder.has_place());
        drop(series);
        assert_eq!(holder.look(now, Duration::ZERO), Look::Keeps);
        assert!(!holder.is_needed(), "nothing is kept for it");
    }
}
