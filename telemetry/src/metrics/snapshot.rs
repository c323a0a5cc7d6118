//! A gauge whose series are replaced as a whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;

use super::open::budget::Budget;
use super::open::reserved::{OTHER, SETS_PER_VALUE_MAX};
use crate::metrics::complaint::Once;
use crate::metrics::observed::{Emit, Observed};

/// The series of a gauge whose label sets come and go: those left out of a [`replace`](Self::replace) are gone from the next collection on,
/// on `/metrics` and over OTLP. Cheap to clone; clones share the series.
///
/// With the open label `tenant_id`, the values of tenants past the service's budget are summed under `_other`. A snapshot takes a place for a
/// tenant while there is room; a tenant that is counted somewhere takes it over.
#[derive(Debug, Clone)]
pub struct Snapshot(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    observed: Arc<Observed>,
    /// None: no label is open.
    budget: Option<Arc<Budget>>,
    shown: Mutex<Shown>,
    wrong: Once,
}

#[derive(Debug, Default)]
struct Shown {
    points: Vec<Point>,
    /// The distinct values of the open label, in their order.
    tenants: Vec<Arc<str>>,
    /// The points as the budget shows them.
    series: Arc<[(Vec<KeyValue>, f64)]>,
    /// Of the budget, when it was asked.
    generation: u64,
}

#[derive(Debug)]
struct Point {
    /// Empty where no label is open.
    tenant: Arc<str>,
    attributes: Vec<KeyValue>,
    value: f64,
}

impl Snapshot {
    /// The definition was refused.
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    pub(crate) fn new(observed: Arc<Observed>, budget: Option<Arc<Budget>>, wrong: Once) -> Self {
        let shared = Arc::new(Shared { observed, budget, shown: Mutex::default(), wrong });
        // Weak, as the source lives in what it would otherwise keep alive.
        let source = Arc::downgrade(&shared);
        shared.observed.add(move |emit| source.upgrade().into_iter().for_each(|shared| shared.observe(emit)));
        Self(Some(shared))
    }

    /// Replaces every series; labels in the order of the definition (without `service`). A series with another number of labels or a value
    /// that is not finite is left out, and the log says so once.
    pub fn replace(&self, series: Vec<(Vec<String>, f64)>) {
        if let Some(shared) = &self.0 {
            shared.replace(series);
        }
    }
}

impl Shared {
    fn replace(&self, series: Vec<(Vec<String>, f64)>) {
        let mut sets: HashMap<Arc<str>, usize> = HashMap::new();
        let mut points = Vec::with_capacity(series.len());
        let mut tenants = Vec::new();
        for (values, value) in series {
            let Some(attributes) = self.checked(&values, value) else { continue };
            let tenant = self.observed.shape().open_place().map_or("", |place| &values[place]);
            let tenant = sets.get_key_value(tenant).map_or_else(|| Arc::from(tenant), |(known, _)| Arc::clone(known));
            let count = sets.entry(Arc::clone(&tenant)).or_default();
            *count += 1;
            if *count == 1 {
                tenants.push(Arc::clone(&tenant));
            }
            if self.budget.is_none() || *count <= SETS_PER_VALUE_MAX {
                points.push(Point { tenant, attributes, value });
            } else {
                let name = self.observed.shape().definition().name;
                self.wrong
                    .say(|| format!("{name} has more than {SETS_PER_VALUE_MAX} label sets for one tenant; further ones are not shown"));
            }
        }
        self.show(points, tenants);
    }

    fn show(&self, points: Vec<Point>, tenants: Vec<Arc<str>>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(budget) = &self.budget else {
            shown.series = points.into_iter().map(|point| (point.attributes, point.value)).collect();
            return;
        };
        budget.show(&shown.tenants, &tenants);
        (shown.points, shown.tenants) = (points, tenants);
        let overflowed = self.fold(budget, &mut shown);
        budget.count_overflows(overflowed.len() as u64);
        overflowed.iter().for_each(|tenant| budget.name(tenant));
    }

    fn checked(&self, values: &[String], value: f64) -> Option<Vec<KeyValue>> {
        let shape = self.observed.shape();
        let checked = if value.is_finite() {
            shape.ordered(values)
        } else {
            Err(format!("{} was given {value}; only finite numbers are shown", shape.definition().name))
        };
        checked.map_err(|refusal| self.wrong.say(|| refusal)).ok()
    }

    /// Sums what has no place under [`OTHER`]; says whose that was, once for each series.
    fn fold(&self, budget: &Budget, shown: &mut Shown) -> Vec<Arc<str>> {
        let (placed, generation) = budget.placed(shown.points.iter().map(|point| &*point.tenant));
        let mut series = Vec::with_capacity(shown.points.len());
        let mut others: Vec<(Vec<KeyValue>, f64)> = Vec::new();
        let mut overflowed = Vec::new();
        for (point, placed) in shown.points.iter().zip(placed) {
            if placed {
                series.push((point.attributes.clone(), point.value));
                continue;
            }
            let attributes = self.observed.shape().with_open_value(&point.attributes, OTHER);
            match others.iter_mut().find(|(found, _)| *found == attributes) {
                Some((_, sum)) => *sum += point.value,
                None => others.push((attributes, point.value)),
            }
            if &*point.tenant != OTHER {
                overflowed.push(Arc::clone(&point.tenant));
            }
        }
        series.append(&mut others);
        (shown.series, shown.generation) = (series.into(), generation);
        overflowed
    }

    fn observe(&self, emit: Emit<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = self.budget.as_deref().filter(|budget| budget.generation() != shown.generation) {
            self.fold(budget, &mut shown);
        }
        let series = Arc::clone(&shown.series);
        drop(shown);
        for (attributes, value) in series.iter() {
            emit(*value, attributes);
        }
    }
}
