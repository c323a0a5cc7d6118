//! How many values of an open label (`tenant_id`) have series of their own: first come, over all metrics of a service; the rest share
//! [`OTHER`].
//!
//! A value is decided on as a whole, so that it is itself everywhere or nowhere. Recording takes a place for good, until nothing was recorded
//! for a while; being bound or shown in a snapshot takes one only as long as nobody who records needs it. So ten thousand values that are
//! bound at the start of a service do not keep out those that are at work.
//!
//! An SDK instrument never forgets a series, hence the series of counters with an open label are the kit's own ([`Series`]), shown by
//! observable counters.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::holder::{Claim, Holder, Look, TooManySets};
use super::reserved::{OTHER, is_reserved};
use super::series::Series;

/// Values past the budget that the log names.
const NAMED_MAX: usize = 100;

/// How large a budget is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetSettings {
    pub(crate) values_max: usize,
    /// Without a recording for this long a value loses its place.
    pub(crate) idle_after: Duration,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self { values_max: 1_000, idle_after: Duration::from_secs(3_600) }
    }
}

/// The places of one service's open label.
#[derive(Debug)]
pub(crate) struct Budget {
    service: &'static str,
    settings: BudgetSettings,
    state: Mutex<State>,
    /// Whether one who records may find a place: one is free, or its holder records nothing. Read by handles before they take the lock.
    room: AtomicBool,
    /// Moves whenever somebody gets or loses a place.
    generation: AtomicU64,
    overflows: AtomicU64,
    counters: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// Those that have a place, are bound by a handle or shown in a snapshot.
    holders: HashMap<Arc<str>, Holder>,
    taken: usize,
    was_full: bool,
    named: HashSet<Arc<str>>,
}

/// A series, and the one that takes what it may not.
#[derive(Debug, Clone)]
pub(crate) struct SeriesPair {
    pub(crate) own: Arc<Series>,
    pub(crate) other: Arc<Series>,
}

impl Budget {
    pub(crate) fn new(service: &'static str, settings: BudgetSettings) -> Arc<Self> {
        Arc::new(Self {
            service,
            settings,
            state: Mutex::default(),
            room: AtomicBool::new(settings.values_max > 0),
            generation: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            counters: AtomicUsize::new(0),
        })
    }

    pub(crate) fn values_max(&self) -> usize {
        self.settings.values_max
    }

    /// A number for a new counter.
    pub(crate) fn new_counter(&self) -> usize {
        self.counters.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Values that have a place.
    pub(crate) fn taken(&self) -> usize {
        self.state().taken
    }

    /// Recordings under [`OTHER`].
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    /// Counts recordings that found no place.
    pub(crate) fn count_overflows(&self, recordings: u64) {
        self.overflows.fetch_add(recordings, Ordering::Relaxed);
    }

    /// Names one that found no place in the log: each once, and a bounded number of them.
    pub(crate) fn name(&self, value: &str) {
        let (service, places) = (self.service, self.settings.values_max);
        let mut state = self.state();
        if state.named.len() > NAMED_MAX || state.named.contains(value) {
            return;
        }
        state.named.insert(Arc::from(value));
        let named = state.named.len();
        drop(state);
        if named <= NAMED_MAX {
            tracing::warn!(service, tenant_id = ?value, places, "the budget of series is used up: this tenant is counted under _other");
        } else {
            tracing::warn!(service, places, "more tenants are counted under _other; no further ones are named");
        }
    }

    /// The series for a handle, made where there is none. It may be closed: then its value has no place.
    ///
    /// # Errors
    /// When the value has too many label sets in this metric.
    pub(crate) fn bind(
        &self,
        counter: usize,
        value: &str,
        attributes: &[KeyValue],
        others: &[KeyValue],
    ) -> Result<SeriesPair, TooManySets> {
        let mut state = self.state();
        self.grant(&mut state, value, Claim::Show);
        let own = state.holder(value).series(counter, attributes)?;
        let other = state.holder(OTHER).series(counter, others)?;
        Ok(SeriesPair { own, other })
    }

    /// Counts without a handle: nothing is kept for a value that gets no place.
    ///
    /// # Errors
    /// When the value has too many label sets in this metric.
    pub(crate) fn add(
        &self,
        counter: usize,
        n: u64,
        value: &str,
        attributes: &[KeyValue],
        others: impl FnOnce() -> Vec<KeyValue>,
    ) -> Result<(), TooManySets> {
        let mut state = self.state();
        let claim = if n == 0 { Claim::Show } else { Claim::Record };
        if self.grant(&mut state, value, claim) {
            let holder = state.holder(value);
            let known = holder.sets();
            let series = holder.series(counter, attributes)?;
            if holder.sets() > known {
                state.holder(OTHER).series(counter, &others())?;
            }
            series.add(n);
            return Ok(());
        }
        if n > 0 {
            state.holder(OTHER).series(counter, &others())?.add(n);
            drop(state);
            self.count_overflows(1);
            self.name(value);
        }
        Ok(())
    }

    /// Whether `value`, which records, has a place now. Without the lock while there is none to be had.
    pub(crate) fn find_place(&self, value: &str) -> bool {
        self.room.load(Ordering::Relaxed) && self.grant(&mut self.state(), value, Claim::Record)
    }

    /// What a snapshot shows changes from `old` to `new`.
    pub(crate) fn show(&self, old: &[Arc<str>], new: &[Arc<str>]) {
        let mut state = self.state();
        for value in new {
            self.grant(&mut state, value, Claim::Show);
            state.holder(value).begin_to_show();
        }
        for value in old {
            state.holder(value).cease_to_show();
        }
    }

    /// Which of the values have a place, all of one moment, and that moment's generation.
    pub(crate) fn placed<'a>(&self, values: impl Iterator<Item = &'a str>) -> (Vec<bool>, u64) {
        let state = self.state();
        let placed = values.map(|value| value != OTHER && state.holders.get(value).is_some_and(Holder::has_place)).collect();
        (placed, self.generation())
    }

    /// The counts of a counter. [`OTHER`] is among them once the budget has been used up, so that its first count is seen as a rise from 0.
    pub(crate) fn counts(&self, counter: usize) -> Vec<(Arc<Series>, u64)> {
        let state = self.state();
        let holders = state.holders.values().filter(|holder| holder.has_place());
        holders
            .flat_map(|holder| holder.counts(counter))
            .filter(|(series, count)| *count > 0 || state.was_full || &*series.value != OTHER)
            .map(|(series, count)| (Arc::clone(series), count))
            .collect()
    }

    /// Takes places back from those that have been idle. Each collection's turn calls it.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut state = self.state();
        let mut freed = 0;
        let mut yields = false;
        for (value, holder) in &mut state.holders {
            match holder.look(now, self.settings.idle_after) {
                Look::Keeps => {}
                Look::Yields => yields = true,
                Look::Freed => {
                    tracing::debug!(service = self.service, tenant_id = ?value, "nothing was recorded for long: the tenant's series end");
                    freed += 1;
                }
            }
        }
        state.holders.retain(|_, holder| holder.is_needed());
        state.taken -= freed;
        if freed > 0 {
            self.changed();
        }
        if yields || freed > 0 {
            self.room.store(true, Ordering::Relaxed);
        }
    }

    /// True when `value` has a place, which it may just have been given.
    fn grant(&self, state: &mut State, value: &str, claim: Claim) -> bool {
        if let Some(holder) = state.holders.get_mut(value).filter(|holder| holder.has_place()) {
            holder.renew(claim);
            return true;
        }
        if is_reserved(value) {
            return state.holder(value).has_place();
        }
        let now = Instant::now();
        if state.taken >= self.settings.values_max && !(claim == Claim::Record && self.reclaim(state, now)) {
            state.was_full = true;
            return false;
        }
        state.holder(value).open(claim, now);
        state.taken += 1;
        state.was_full |= state.taken >= self.settings.values_max;
        self.changed();
        if claim == Claim::Show {
            self.room.store(true, Ordering::Relaxed);
        }
        true
    }

    /// Takes a place from one that records nothing. Once it found none, it does not search again before there is one.
    fn reclaim(&self, state: &mut State, now: Instant) -> bool {
        if !self.room.load(Ordering::Relaxed) {
            return false;
        }
        let mut holders = state.holders.iter_mut();
        let Some(value) = holders.find_map(|(value, holder)| holder.give_way(now).then(|| Arc::clone(value))) else {
            self.room.store(false, Ordering::Relaxed);
            return false;
        };
        state.taken -= 1;
        self.changed();
        if let MapEntry::Occupied(entry) = state.holders.entry(value)
            && !entry.get().is_needed()
        {
            entry.remove();
        }
        true
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holder(&mut self, value: &str) -> &mut Holder {
        self.holders.entry(Arc::from(value)).or_insert_with_key(|value| Holder::new(Arc::clone(value), is_reserved(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(budget: &Budget, value: &str, n: u64) {
        budget.add(0, n, value, &[KeyValue::new("tenant_id", value.to_owned())], || vec![KeyValue::new("tenant_id", OTHER)]).unwrap();
    }

    fn holders(budget: &Budget) -> usize {
        budget.state().holders.len()
    }

    /// Whoever invents tenants costs no memory, but for the few that are named.
    #[test]
    fn nothing_is_kept_for_those_without_a_place() {
        let budget = Budget::new("worker", BudgetSettings { values_max: 10, idle_after: Duration::ZERO });
        for number in 0..20_000 {
            add(&budget, &format!("tenant-{number}"), 1);
            add(&budget, &format!("bound-{number}"), 0);
        }
        assert_eq!((holders(&budget), budget.taken(), budget.overflows()), (11, 10, 19_990));
        assert_eq!(budget.state().named.len(), NAMED_MAX + 1);
        budget.sweep();
        budget.sweep();
        assert_eq!((holders(&budget), budget.taken()), (1, 0), "only the rest's");
    }

    /// Handles are the caller's to bound; what they waited with goes with them.
    #[test]
    fn what_a_handle_waited_with_goes_with_it() {
        let budget = Budget::new("worker", BudgetSettings { values_max: 1, idle_after: Duration::from_secs(60) });
        add(&budget, "a", 1);
        let waiting = budget.bind(0, "b", &[KeyValue::new("tenant_id", "b")], &[KeyValue::new("tenant_id", OTHER)]).unwrap();
        budget.sweep();
        assert_eq!((holders(&budget), waiting.own.count()), (3, None));
        drop(waiting);
        budget.sweep();
        assert_eq!(holders(&budget), 2);
    }
}
