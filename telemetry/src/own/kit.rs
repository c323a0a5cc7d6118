//! What telemetry says about itself: what scrapes cost, and how full the budget of the open label is.

use std::sync::Arc;

use crate::export::prometheus::Exposition;
use crate::metrics::builtin::{LABEL_OVERFLOWS, LABEL_VALUES, SCRAPE_DURATION, SCRAPE_SIZE};
use crate::metrics::definition::OPEN_LABEL;
use crate::metrics::instruments::Instruments;
use crate::metrics::observed::number;
use crate::metrics::open::budget::Budget;

/// Shows them.
pub(crate) fn show(instruments: &Instruments, exposition: &Exposition, budget: &Arc<Budget>) {
    let label = &[("label", OPEN_LABEL)];
    if let Some(values) = instruments.observed(&LABEL_VALUES) {
        let budget = Arc::clone(budget);
        values.add_series(label, move || Some(number(budget.taken() as u64)));
    }
    if let Some(overflows) = instruments.observed_counter(&LABEL_OVERFLOWS) {
        let budget = Arc::clone(budget);
        overflows.add_series(label, move || Some(number(budget.overflows())));
    }
    let previous = exposition.previous();
    if let Some(duration) = instruments.observed(&SCRAPE_DURATION) {
        let previous = Arc::clone(&previous);
        duration.add_series(&[], move || Some(previous.duration().as_secs_f64()));
    }
    if let Some(size) = instruments.observed(&SCRAPE_SIZE) {
        size.add_series(&[], move || Some(number(previous.bytes())));
    }
}
