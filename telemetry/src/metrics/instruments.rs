//! Every instrument of a service: made once from its definition, found again afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::metrics::builtin::CALLBACK_PANICS;
use crate::metrics::collection;
use crate::metrics::complaint::Complaints;
use crate::metrics::definition::{Definition, Kind, OPEN_LABEL};
use crate::metrics::handles::{Core, Counter, Gauge, Histogram};
use crate::metrics::labels::LabelShape;
use crate::metrics::observed::Observed;
use crate::metrics::open::budget::Budget;
use crate::metrics::open::counter::OpenCounter;
use crate::metrics::snapshot::Snapshot;

/// How many series each metric may have, asked by the provider's view when an instrument is made.
pub(crate) type SeriesLimits = Arc<Mutex<HashMap<&'static str, usize>>>;

/// The instruments of one meter, by name.
#[derive(Debug)]
pub(crate) struct Instruments {
    service: &'static str,
    meter: Meter,
    limits: SeriesLimits,
    budget: Arc<Budget>,
    complaints: Complaints,
    made: Mutex<HashMap<&'static str, (&'static Definition, Made)>>,
}

/// What a name stands for.
#[derive(Debug, Clone)]
enum Made {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    Read { usage: Use, observed: Arc<Observed>, snapshot: Snapshot },
}

/// What a definition is wanted for. One that is recorded and one that is read at collection are different instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Counter,
    ReadCounter,
    ReadUpDownCounter,
    SetGauge,
    ReadGauge,
    Histogram,
}

impl Use {
    fn kind(self) -> Kind {
        match self {
            Self::Counter | Self::ReadCounter => Kind::Counter,
            Self::ReadUpDownCounter => Kind::UpDownCounter,
            Self::SetGauge | Self::ReadGauge => Kind::Gauge,
            Self::Histogram => Kind::Histogram,
        }
    }
}

impl Made {
    fn usage(&self) -> Use {
        match self {
            Self::Counter(_) => Use::Counter,
            Self::Gauge(_) => Use::SetGauge,
            Self::Histogram(_) => Use::Histogram,
            Self::Read { usage, .. } => *usage,
        }
    }
}

impl Instruments {
    pub(crate) fn new(service: &'static str, meter: Meter, limits: SeriesLimits, budget: Arc<Budget>, complaints: Complaints) -> Self {
        Self { service, meter, limits, budget, complaints, made: Mutex::default() }
    }

    pub(crate) fn counter(&self, definition: &'static Definition) -> Counter {
        let make = || if definition.is_open() { self.make_open_counter(definition) } else { self.make_counter(definition) };
        let made = self.get(definition, Use::Counter, || Made::Counter(make()));
        if let Some(Made::Counter(counter)) = made { counter } else { Counter::nothing() }
    }

    fn make_counter(&self, definition: &'static Definition) -> Counter {
        let instrument = self.meter.u64_counter(definition.name).with_unit(definition.unit).with_description(definition.help).build();
        Counter::new(self.core(instrument, definition))
    }

    fn make_open_counter(&self, definition: &'static Definition) -> Counter {
        let counter = Arc::new(OpenCounter::new(self.shape(definition), Arc::clone(&self.budget), self.complaints.once()));
        let seen = Arc::clone(&counter);
        self.meter
            .u64_observable_counter(definition.name)
            .with_unit(definition.unit)
            .with_description(definition.help)
            .with_callback(move |observer| seen.collect(&mut |count, attributes| observer.observe(count, attributes)))
            .build();
        Counter::open(counter)
    }

    pub(crate) fn gauge(&self, definition: &'static Definition) -> Gauge {
        if self.refuses_open(definition) {
            return Gauge::new(None);
        }
        let made = self.get(definition, Use::SetGauge, || {
            let instrument = self.meter.f64_gauge(definition.name).with_unit(definition.unit).with_description(definition.help).build();
            Made::Gauge(Gauge::new(Some(self.core(instrument, definition))))
        });
        if let Some(Made::Gauge(gauge)) = made { gauge } else { Gauge::new(None) }
    }

    pub(crate) fn histogram(&self, definition: &'static Definition) -> Histogram {
        let made = self.get(definition, Use::Histogram, || {
            let instrument = self
                .meter
                .f64_histogram(definition.name)
                .with_unit(definition.unit)
                .with_description(definition.help)
                .with_boundaries(definition.bounds.to_vec())
                .build();
            Made::Histogram(Histogram::new(Some(self.core(instrument, definition))))
        });
        if let Some(Made::Histogram(histogram)) = made { histogram } else { Histogram::new(None) }
    }

    /// The sources of a gauge or up-down counter. None: refused, and the log says why.
    pub(crate) fn observed(&self, definition: &'static Definition) -> Option<Arc<Observed>> {
        let usage = if definition.kind == Kind::UpDownCounter { Use::ReadUpDownCounter } else { Use::ReadGauge };
        self.read_alone(definition, usage)
    }

    /// The sources of a counter: running totals that are kept elsewhere. None: refused, and the log says why.
    pub(crate) fn observed_counter(&self, definition: &'static Definition) -> Option<Arc<Observed>> {
        self.read_alone(definition, Use::ReadCounter)
    }

    pub(crate) fn snapshot(&self, definition: &'static Definition) -> Snapshot {
        if let Some(Made::Read { snapshot, .. }) = self.read(definition, Use::ReadGauge) { snapshot } else { Snapshot::nothing() }
    }

    fn read_alone(&self, definition: &'static Definition, usage: Use) -> Option<Arc<Observed>> {
        if self.refuses_open(definition) {
            return None;
        }
        if let Some(Made::Read { observed, .. }) = self.read(definition, usage) { Some(observed) } else { None }
    }

    fn read(&self, definition: &'static Definition, usage: Use) -> Option<Made> {
        // Asked for first: making an instrument holds the lock that this needs.
        let panics = self.counter(&CALLBACK_PANICS).bind(&[]);
        self.get(definition, usage, || {
            let observed = Arc::new(Observed::new(self.shape(definition), self.complaints.clone(), panics));
            self.make_observable(definition, usage, Arc::clone(&observed));
            let snapshot = if usage == Use::ReadGauge {
                let budget = definition.is_open().then(|| Arc::clone(&self.budget));
                Snapshot::new(Arc::clone(&observed), budget, self.complaints.once())
            } else {
                Snapshot::nothing()
            };
            Made::Read { usage, observed, snapshot }
        })
    }

    fn make_observable(&self, definition: &'static Definition, usage: Use, seen: Arc<Observed>) {
        let read = move |observer: &dyn AsyncInstrument<f64>| seen.collect(&mut |value, attributes| observer.observe(value, attributes));
        let (meter, unit, help) = (&self.meter, definition.unit, definition.help);
        match usage {
            Use::ReadCounter => {
                meter.f64_observable_counter(definition.name).with_unit(unit).with_description(help).with_callback(read).build();
            }
            Use::ReadUpDownCounter => {
                meter.f64_observable_up_down_counter(definition.name).with_unit(unit).with_description(help).with_callback(read).build();
            }
            _ => {
                meter.f64_observable_gauge(definition.name).with_unit(unit).with_description(help).with_callback(read).build();
            }
        }
    }

    /// A gauge that is set or read for each label set by itself: what of those that have no place would it show as theirs?
    fn refuses_open(&self, definition: &'static Definition) -> bool {
        if definition.is_open() {
            let name = definition.name;
            self.complaints.say(&format!("{name} has the open label {OPEN_LABEL}: only a counter and a snapshot may; it is refused"));
        }
        definition.is_open()
    }

    /// What was made for this definition, or is made now. None, with a complaint, if the definition is not sound or clashes with another.
    fn get(&self, definition: &'static Definition, usage: Use, make: impl FnOnce() -> Made) -> Option<Made> {
        // A collection holds the SDK's lock while it runs callbacks, and what is made below needs that lock.
        if collection::observing() {
            self.complaints.say(&format!("{} is asked for within a callback; it is refused, ask for it before", definition.name));
            return None;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = match made.get(definition.name) {
            Some((first, found)) if *first == definition && found.usage() == usage => return Some(found.clone()),
            Some((first, found)) if *first == definition => {
                format!("{} is wanted as {usage:?} but in use as {:?}; the second use is refused", definition.name, found.usage())
            }
            Some((first, _)) => format!("{first:?} is defined twice and differently: {definition:?} is refused"),
            None if definition.kind != usage.kind() => {
                format!("{} is defined as {:?} but wanted as {usage:?}; it is refused", definition.name, definition.kind)
            }
            None => match definition.check() {
                Ok(()) => {
                    self.limits
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(definition.name, definition.series_max(self.budget.values_max()));
                    let new = make();
                    made.insert(definition.name, (definition, new.clone()));
                    return Some(new);
                }
                Err(refusal) => refusal.to_string(),
            },
        };
        drop(made);
        self.complaints.say(&refusal);
        None
    }

    fn core<I>(&self, instrument: I, definition: &'static Definition) -> Core<I> {
        Core::new(instrument, self.shape(definition), self.complaints.once(), self.complaints.once())
    }

    fn shape(&self, definition: &'static Definition) -> LabelShape {
        LabelShape::new(definition, self.service)
    }
}
