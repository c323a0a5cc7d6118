//! The spans of a batch's alert changes: each continues the trace of the reading that caused the change, and the change's event carries it on.

use std::collections::HashSet;
use std::time::SystemTime;

use pulse_domain::alert::{AlertChange, Cause, EventKind};
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::AlertId;
use pulse_runtime::attribute;
use pulse_runtime::spans::{Spans, fail, trace_of};
use pulse_store::{CommitSummary, Error};
use pulse_telemetry::Span;
use pulse_telemetry::opentelemetry::KeyValue;

use crate::metrics::QUEUE_NAME;

/// The kind of failure of a change that the store left out.
const NOT_APPLIED: &str = "not_applied";
const NOT_APPLIED_DETAIL: &str =
    "the change was left out: the device's lease was lost, or meanwhile the alert was closed or silenced, or its rule or device went away";

/// Spans under way, from the judgement until the changes are committed.
#[derive(Debug)]
pub(crate) struct ChangeSpans(Vec<(AlertId, EventKind, Span)>);

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
                begun.push((alert_id, kind, span));
            }
        }
        Self(begun)
    }

    /// Ends them with the commit. The spans of changes that the store left out end in an error that says so.
    pub(crate) fn end(self, committed: Result<&CommitSummary, &Error>) {
        match committed {
            Err(error) => self.0.iter().for_each(|(.., span)| fail(span, error)),
            Ok(done) => {
                let opened: HashSet<AlertId> = done.opened.iter().copied().collect();
                let closed: HashSet<AlertId> = done.closed.iter().copied().collect();
                for (alert_id, kind, span) in self.0 {
                    let applied = if kind == EventKind::Open { &opened } else { &closed };
                    if span.is_recording() && !applied.contains(&alert_id) {
                        span.fail(NOT_APPLIED, NOT_APPLIED_DETAIL);
                    }
                }
            }
        }
    }
}

/// The alert, kind and cause of a change's event; an update has no event.
fn event(change: &mut AlertChange) -> Option<(AlertId, EventKind, &mut Cause)> {
    match change {
        AlertChange::Open { alert, cause } => Some((alert.alert_id, EventKind::Open, cause)),
        AlertChange::Close { alert_id, cause, .. } => Some((*alert_id, EventKind::Closed, cause)),
        AlertChange::Update { .. } => None,
    }
}
