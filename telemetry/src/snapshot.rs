//! A gauge whose series are replaced as a whole.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;

use crate::complaint::Once;
use crate::observed::{Emit, Observed};

type Series = Arc<[(Vec<KeyValue>, f64)]>;

/// The series of a gauge whose label sets come and go: those left out of a [`replace`](Self::replace) are gone from the next collection on,
/// on `/metrics` and over OTLP. Cheap to clone; clones share the series.
#[derive(Debug, Clone)]
pub struct Snapshot(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    observed: Arc<Observed>,
    series: Mutex<Series>,
    wrong: Once,
}

impl Snapshot {
    /// None: the definition was refused, and the handle does nothing.
    pub(crate) fn new(observed: Option<(Arc<Observed>, Once)>) -> Self {
        Self(observed.map(|(observed, wrong)| {
            let shared = Arc::new(Shared { observed, series: Mutex::new(Arc::from([])), wrong });
            // Weak, as the source lives in what it would otherwise keep alive.
            let source = Arc::downgrade(&shared);
            shared.observed.add(move |emit| source.upgrade().into_iter().for_each(|shared| shared.observe(emit)));
            shared
        }))
    }

    /// Replaces every series; labels in the order of the definition (without `service`). A series with another number of labels or a value
    /// that is not finite is left out, and the log says so once.
    pub fn replace(&self, series: Vec<(Vec<String>, f64)>) {
        let Some(shared) = &self.0 else { return };
        let replaced = series.into_iter().filter_map(|(values, value)| shared.checked(&values, value)).collect();
        *shared.series.lock().unwrap_or_else(PoisonError::into_inner) = replaced;
    }
}

impl Shared {
    fn checked(&self, values: &[String], value: f64) -> Option<(Vec<KeyValue>, f64)> {
        let shape = self.observed.shape();
        let checked = if value.is_finite() {
            shape.ordered(values)
        } else {
            Err(format!("{} was given {value}; only finite numbers are shown", shape.definition().name))
        };
        checked.map_err(|refusal| self.wrong.say(|| refusal)).ok().map(|attributes| (attributes, value))
    }

    fn observe(&self, emit: Emit<'_>) {
        let series = Arc::clone(&self.series.lock().unwrap_or_else(PoisonError::into_inner));
        for (attributes, value) in series.iter() {
            emit(*value, attributes);
        }
    }
}
