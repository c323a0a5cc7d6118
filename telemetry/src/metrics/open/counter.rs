//! Counters with an open label: each value of it has series of its own as long as the [`Budget`] has a place for it.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::budget::{Budget, SeriesPair};
use super::holder::TooManySets;
use super::reserved::{OTHER, SETS_PER_VALUE_MAX};
use crate::metrics::collection;
use crate::metrics::complaint::Once;
use crate::metrics::labels::{LabelShape, Labels};

/// The counter of one definition.
#[derive(Debug)]
pub(crate) struct OpenCounter {
    id: usize,
    shape: LabelShape,
    budget: Arc<Budget>,
    wrong_labels: Once,
}

impl OpenCounter {
    pub(crate) fn new(shape: LabelShape, budget: Arc<Budget>, wrong_labels: Once) -> Self {
        Self { id: budget.new_counter(), shape, budget, wrong_labels }
    }

    pub(crate) fn add(&self, n: u64, labels: Labels<'_>) {
        if let Some((value, attributes)) = self.attributes(labels) {
            let others = || self.shape.with_open_value(&attributes, OTHER);
            let added = self.budget.add(self.id, n, value, &attributes, others);
            self.told(added);
        }
    }

    pub(crate) fn bind(&self, labels: Labels<'_>) -> Option<BoundOpenCounter> {
        let (value, attributes) = self.attributes(labels)?;
        let others = self.shape.with_open_value(&attributes, OTHER);
        let series = self.told(self.budget.bind(self.id, value, &attributes, &others))?;
        Some(BoundOpenCounter { series, budget: Arc::clone(&self.budget) })
    }

    /// The SDK's callback. Outside a turn it observes nothing.
    pub(crate) fn collect(&self, emit: &mut dyn FnMut(u64, &[KeyValue])) {
        if collection::observing() {
            for (series, count) in self.budget.counts(self.id) {
                emit(count, &series.attributes);
            }
        }
    }

    fn attributes<'a>(&self, labels: Labels<'a>) -> Option<(&'a str, Vec<KeyValue>)> {
        let attributes = self.shape.named(labels).map_err(|refusal| self.wrong_labels.say(|| refusal)).ok()?;
        Some((self.shape.open_value(labels)?, attributes))
    }

    fn told<T>(&self, result: Result<T, TooManySets>) -> Option<T> {
        let name = self.shape.definition().name;
        let why = || format!("{name} has more than {SETS_PER_VALUE_MAX} label sets for one tenant; further ones are not recorded");
        result.map_err(|TooManySets| self.wrong_labels.say(why)).ok()
    }
}

/// One series of an [`OpenCounter`], which goes on counting under [`OTHER`] while its value has no place.
#[derive(Debug, Clone)]
pub(crate) struct BoundOpenCounter {
    series: SeriesPair,
    budget: Arc<Budget>,
}

impl BoundOpenCounter {
    pub(crate) fn add(&self, n: u64) {
        if !self.series.own.add(n) && n > 0 {
            self.add_without_place(n);
        }
    }

    #[cold]
    fn add_without_place(&self, n: u64) {
        let SeriesPair { own, other } = &self.series;
        if self.budget.find_place(&own.value) && own.add(n) {
            return;
        }
        other.add(n);
        self.budget.count_overflows(1);
        if own.complains_first() {
            self.budget.name(&own.value);
        }
    }
}
