//! The spans of a batch's alert changes: each continues the trace of the reading that caused the change, and the change's event carries it on.

use std::time::SystemTime;

use pulse_domain::alert::{AlertChange, Cause, EventKind};
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::AlertId;
use pulse_runtime::attribute;
use pulse_runtime::spans::{Spans, fail, trace_of};
use pulse_store::Error;
use pulse_telemetry::Span;
use pulse_telemetry::opentelemetry::KeyValue;

use crate::QUEUE_NAME;

/// Spans under way, from the judgement until the changes are committed.
#[derive(Debug)]
pub(crate) struct ChangeSpans(Vec<Span>);

impl ChangeSpans {
    /// Begins one for each change that has an event, as of when judging began. What no reading caused goes on in the batch's trace.
    pub(crate) fn begin(spans: &Spans, batch: &Span, judging_began: SystemTime, outcomes: &mut [DeviceOutcome]) -> Self {
        let mut begun = Vec::new();
        for DeviceOutcome { key, changes, .. } in outcomes {
            for (alert_id, kind, cause) in changes.iter_mut().filter_map(event) {
                let span = spans.process(QUEUE_NAME, cause.trace.as_ref(), batch).started_at(judging_began).start();
                if span.is_recording() {
                    span.set(KeyValue::new(attribute::TENANT_ID, key.tenant_id.to_string()));
                    span.set(KeyValue::new(attribute::DEVICE_ID, key.device_id.to_string()));
                    span.set(KeyValue::new(attribute::ALERT_ID, alert_id.to_string()));
                    span.set(KeyValue::new(attribute::EVENT_KIND, kind.as_str()));
                }
                cause.trace = trace_of(&span);
                begun.push(span);
            }
        }
        Self(begun)
    }

    /// Ends them with the commit. Which of a batch's changes the store left out it does not say.
    pub(crate) fn end(self, committed: Result<(), &Error>) {
        if let Err(error) = committed {
            self.0.iter().for_each(|span| fail(span, error));
        }
    }
}

/// What a change's event is about; an update has none.
fn event(change: &mut AlertChange) -> Option<(AlertId, EventKind, &mut Cause)> {
    match change {
        AlertChange::Open { alert, cause } => Some((alert.alert_id, EventKind::Open, cause)),
        AlertChange::Close { alert_id, cause, .. } => Some((*alert_id, EventKind::Closed, cause)),
        AlertChange::Update { .. } => None,
    }
}
