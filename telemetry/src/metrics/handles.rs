//! The handles that record: counter, gauge and histogram, each with a bound form for one series.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics as api;

use crate::metrics::complaint::Once;
use crate::metrics::labels::{LabelShape, Labels};
use crate::metrics::open::counter::{BoundOpenCounter, OpenCounter};

/// What the clones of a handle share.
#[derive(Debug)]
pub(crate) struct Core<I> {
    instrument: I,
    shape: LabelShape,
    wrong_labels: Once,
    wrong_value: Once,
}

/// A bound instrument, and the core that it complains through.
#[derive(Debug, Clone)]
struct Bound<B, I> {
    instrument: B,
    core: Arc<Core<I>>,
}

impl<I> Core<I> {
    pub(crate) fn new(instrument: I, shape: LabelShape, wrong_labels: Once, wrong_value: Once) -> Self {
        Self { instrument, shape, wrong_labels, wrong_value }
    }

    fn attributes(&self, labels: Labels<'_>) -> Option<Vec<KeyValue>> {
        self.shape.named(labels).map_err(|refusal| self.wrong_labels.say(|| refusal)).ok()
    }

    /// The SDK drops what is not finite without a word.
    fn finite(&self, value: f64) -> bool {
        if !value.is_finite() {
            self.wrong_value.say(|| format!("{} was given {value}; only finite numbers are recorded", self.shape.definition().name));
        }
        value.is_finite()
    }
}

/// Counts. Cheap to clone.
///
/// A counter whose definition was refused, or that is given other labels than its definition lists, records nothing; the log says so once.
///
/// With the open label `tenant_id`, each tenant has series of its own within the service's budget and counts under `_other` past it (see
/// [`TelemetryBuilder::label_values_max`](crate::TelemetryBuilder::label_values_max)).
#[derive(Debug, Clone)]
pub struct Counter(Count);

#[derive(Debug, Clone)]
enum Count {
    Nothing,
    Closed(Arc<Core<api::Counter<u64>>>),
    Open(Arc<OpenCounter>),
}

impl Counter {
    pub(crate) fn nothing() -> Self {
        Self(Count::Nothing)
    }

    pub(crate) fn new(core: Core<api::Counter<u64>>) -> Self {
        let is_single = core.shape.is_single();
        let counter = Self(Count::Closed(Arc::new(core)));
        if is_single {
            counter.bind(&[]);
        }
        counter
    }

    pub(crate) fn open(counter: Arc<OpenCounter>) -> Self {
        Self(Count::Open(counter))
    }

    /// Adds `n` to the series of these labels. Looks the series up each time: prefer [`bind`](Self::bind) where the labels are known.
    pub fn add(&self, n: u64, labels: Labels<'_>) {
        match &self.0 {
            Count::Nothing => {}
            Count::Closed(core) => core.attributes(labels).iter().for_each(|attributes| core.instrument.add(n, attributes)),
            Count::Open(counter) => counter.add(n, labels),
        }
    }

    /// A handle for one label set; the series shows 0 from now on. One of a tenant does so while the budget has room, and gives its place to
    /// a tenant that records.
    pub fn bind(&self, labels: Labels<'_>) -> BoundCounter {
        BoundCounter(match &self.0 {
            Count::Nothing => BoundCount::Nothing,
            Count::Closed(core) => core.attributes(labels).map_or(BoundCount::Nothing, |attributes| {
                let bound = core.instrument.bind(&attributes);
                // A series without attributes is shown once something was recorded; others from their binding on.
                bound.add(0);
                BoundCount::Closed(bound)
            }),
            Count::Open(counter) => counter.bind(labels).map_or(BoundCount::Nothing, BoundCount::Open),
        })
    }
}

/// A counter for one label set: a few nanoseconds an addition. Cheap to clone. One of a tenant goes on counting whether the tenant has
/// series of its own or not.
#[derive(Debug, Clone)]
pub struct BoundCounter(BoundCount);

#[derive(Debug, Clone)]
enum BoundCount {
    Nothing,
    Closed(api::BoundCounter<u64>),
    Open(BoundOpenCounter),
}

impl BoundCounter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        match &self.0 {
            BoundCount::Nothing => {}
            BoundCount::Closed(bound) => bound.add(n),
            BoundCount::Open(bound) => bound.add(n),
        }
    }
}

/// Holds the last value set. Cheap to clone. For values that are known elsewhere prefer [`Telemetry::observe`](crate::Telemetry::observe),
/// which cannot go stale, and for series that come and go [`Telemetry::snapshot`](crate::Telemetry::snapshot).
#[derive(Debug, Clone)]
pub struct Gauge(Option<Arc<Core<api::Gauge<f64>>>>);

impl Gauge {
    pub(crate) fn new(core: Option<Core<api::Gauge<f64>>>) -> Self {
        let gauge = Self(core.map(Arc::new));
        if let Some(core) = gauge.0.as_ref().filter(|core| core.shape.is_single()) {
            core.instrument.record(0.0, &core.shape.named(&[]).unwrap_or_default());
        }
        gauge
    }

    /// Sets the series of these labels to `value`, which must be finite.
    pub fn set(&self, value: f64, labels: Labels<'_>) {
        if let Some(core) = self.0.as_ref().filter(|core| core.finite(value))
            && let Some(attributes) = core.attributes(labels)
        {
            core.instrument.record(value, &attributes);
        }
    }

    /// A handle for one label set; the series shows 0 until it is set.
    pub fn bind(&self, labels: Labels<'_>) -> BoundGauge {
        BoundGauge(self.0.as_ref().and_then(|core| {
            let attributes = core.attributes(labels)?;
            Some(Bound { instrument: core.instrument.bind(&attributes), core: Arc::clone(core) })
        }))
    }
}

/// A gauge for one label set. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BoundGauge(Option<Bound<api::BoundGauge<f64>, api::Gauge<f64>>>);

impl BoundGauge {
    /// Sets the series to `value`, which must be finite.
    pub fn set(&self, value: f64) {
        if let Some(bound) = self.0.as_ref().filter(|bound| bound.core.finite(value)) {
            bound.instrument.record(value);
        }
    }
}

/// Records a distribution. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Histogram(Option<Arc<Core<api::Histogram<f64>>>>);

impl Histogram {
    pub(crate) fn new(core: Option<Core<api::Histogram<f64>>>) -> Self {
        let histogram = Self(core.map(Arc::new));
        if histogram.0.as_ref().is_some_and(|core| core.shape.is_single()) {
            histogram.bind(&[]);
        }
        histogram
    }

    /// Records `value`, in the definition's unit, which must be finite.
    pub fn record(&self, value: f64, labels: Labels<'_>) {
        if let Some(core) = self.0.as_ref().filter(|core| core.finite(value))
            && let Some(attributes) = core.attributes(labels)
        {
            core.instrument.record(value, &attributes);
        }
    }

    /// A handle for one label set; the series shows a count of 0 from now on, unless the definition has no label at all: such a histogram
    /// appears with its first value.
    pub fn bind(&self, labels: Labels<'_>) -> BoundHistogram {
        BoundHistogram(self.0.as_ref().and_then(|core| {
            let attributes = core.attributes(labels)?;
            Some(Bound { instrument: core.instrument.bind(&attributes), core: Arc::clone(core) })
        }))
    }
}

/// A histogram for one label set. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BoundHistogram(Option<Bound<api::BoundHistogram<f64>, api::Histogram<f64>>>);

impl BoundHistogram {
    /// Records `value`, in the definition's unit, which must be finite.
    pub fn record(&self, value: f64) {
        if let Some(bound) = self.0.as_ref().filter(|bound| bound.core.finite(value)) {
            bound.instrument.record(value);
        }
    }
}
