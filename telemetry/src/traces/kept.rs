//! Spans that ended, kept in memory for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Context, KeyValue, SpanId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::propagation;

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptSpan {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// The parent's span id; none: a root.
    pub parent_id: Option<String>,
    /// Its own context, as it would be sent on.
    pub traceparent: String,
    /// Other spans that it names.
    pub links: Vec<KeptLink>,
    /// Values as text.
    pub attributes: BTreeMap<String, String>,
    /// The status' description, when the status is an error.
    pub error: Option<String>,
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
}

/// A link of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptLink {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// Values as text.
    pub attributes: BTreeMap<String, String>,
}

impl KeptSpan {
    /// An attribute's value as text.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether it is a child of the span with this `traceparent`.
    pub fn is_child_of(&self, traceparent: &str) -> bool {
        let own_trace_and_parent = self.parent_id.as_ref().map(|parent| format!("{}-{parent}", self.trace_id));
        own_trace_and_parent.is_some_and(|ids| traceparent.contains(&ids))
    }

    /// The link to the span with this `traceparent`.
    pub fn link_to(&self, traceparent: &str) -> Option<&KeptLink> {
        self.links.iter().find(|link| traceparent.contains(&format!("{}-{}", link.trace_id, link.span_id)))
    }
}

impl From<SpanData> for KeptSpan {
    fn from(span: SpanData) -> Self {
        let context = &span.span_context;
        Self {
            traceparent: propagation::text(context.trace_id(), context.span_id(), context.trace_flags()),
            name: span.name.into_owned(),
            kind: span.span_kind,
            trace_id: context.trace_id().to_string(),
            span_id: context.span_id().to_string(),
            parent_id: (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string()),
            links: span
                .links
                .iter()
                .map(|link| KeptLink {
                    trace_id: link.span_context.trace_id().to_string(),
                    span_id: link.span_context.span_id().to_string(),
                    attributes: texts(&link.attributes),
                })
                .collect(),
            attributes: texts(&span.attributes),
            error: match span.status {
                Status::Error { description } => Some(description.into_owned()),
                Status::Unset | Status::Ok => None,
            },
            started_at: span.start_time,
            ended_at: span.end_time,
        }
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|attribute| (attribute.key.to_string(), attribute.value.to_string())).collect()
}

/// Where they are kept; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeptSpans(Arc<Mutex<Vec<KeptSpan>>>);

impl KeptSpans {
    pub(crate) fn all(&self) -> Vec<KeptSpan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SpanProcessor for KeptSpans {
    fn on_start(&self, _span: &mut Span, _parent: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(span.into());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
