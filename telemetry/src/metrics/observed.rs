//! Gauges that are read at collection: one SDK callback a definition, any number of sources behind it that come and go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use opentelemetry::KeyValue;

use crate::metrics::collection;
use crate::metrics::complaint::{Complaints, Once};
use crate::metrics::handles::BoundCounter;
use crate::metrics::labels::{LabelShape, Labels};

/// Where a source puts what it sees.
pub(crate) type Emit<'a> = &'a mut dyn FnMut(f64, &[KeyValue]);
type Read = dyn Fn(Emit<'_>) + Send + Sync;

/// The sources of one definition.
#[derive(Debug)]
pub(crate) struct Observed {
    shape: LabelShape,
    /// Replaced as a whole, so that a collection runs sources without the lock.
    sources: Mutex<Arc<[Arc<Source>]>>,
    complaints: Complaints,
    panics: BoundCounter,
}

struct Source {
    read: Box<Read>,
    panicked: Once,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

impl Observed {
    pub(crate) fn new(shape: LabelShape, complaints: Complaints, panics: BoundCounter) -> Self {
        Self { shape, sources: Mutex::new(Arc::from([])), complaints, panics }
    }

    pub(crate) fn shape(&self) -> &LabelShape {
        &self.shape
    }

    /// The SDK's callback. Outside a turn it observes nothing; a source that panics silences itself only.
    pub(crate) fn collect(&self, emit: Emit<'_>) {
        if !collection::observing() {
            return;
        }
        let sources = Arc::clone(&self.sources.lock().unwrap_or_else(PoisonError::into_inner));
        for source in sources.iter() {
            if catch_unwind(AssertUnwindSafe(|| (source.read)(emit))).is_err() {
                self.panics.add(1);
                source
                    .panicked
                    .say(|| format!("a callback of {} panicked; its series are absent while it does", self.shape.definition().name));
            }
        }
    }

    /// Adds a source for good.
    pub(crate) fn add(&self, read: impl Fn(Emit<'_>) + Send + Sync + 'static) {
        self.insert(Box::new(read));
    }

    /// Adds one series for good; `read` answers None where it is absent.
    pub(crate) fn add_series(&self, labels: Labels<'_>, read: impl Fn() -> Option<f64> + Send + Sync + 'static) {
        if let Some(attributes) = self.attributes(labels) {
            self.add(one_series(attributes, read));
        }
    }

    /// Adds one series for as long as the handle lives. None, with a complaint, if the labels are not the definition's.
    pub(crate) fn add_series_while(
        self: &Arc<Self>,
        labels: Labels<'_>,
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Option<SourceHandle> {
        let attributes = self.attributes(labels)?;
        Some(SourceHandle { observed: Arc::downgrade(self), source: self.insert(Box::new(one_series(attributes, read))) })
    }

    fn attributes(&self, labels: Labels<'_>) -> Option<Vec<KeyValue>> {
        self.shape.named(labels).map_err(|refusal| self.complaints.say(&refusal)).ok()
    }

    fn insert(&self, read: Box<Read>) -> Arc<Source> {
        let source = Arc::new(Source { read, panicked: self.complaints.once() });
        self.replace(|sources| sources.push(Arc::clone(&source)));
        source
    }

    fn replace(&self, change: impl FnOnce(&mut Vec<Arc<Source>>)) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = sources.to_vec();
        change(&mut changed);
        *sources = changed.into();
    }
}

/// A count as the number that is shown.
#[allow(clippy::cast_precision_loss, reason = "a gauge is an f64; counts are exact up to 2^53")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

fn one_series(attributes: Vec<KeyValue>, read: impl Fn() -> Option<f64>) -> impl Fn(Emit<'_>) {
    move |emit| {
        if let Some(value) = read() {
            emit(value, &attributes);
        }
    }
}

/// Removes its source, and with it its series, when dropped.
#[derive(Debug)]
pub(crate) struct SourceHandle {
    observed: Weak<Observed>,
    source: Arc<Source>,
}

impl Drop for SourceHandle {
    fn drop(&mut self) {
        if let Some(observed) = self.observed.upgrade() {
            observed.replace(|sources| sources.retain(|source| !Arc::ptr_eq(source, &self.source)));
        }
    }
}
