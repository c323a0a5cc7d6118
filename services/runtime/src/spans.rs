//! The spans that services have in common: work taken from a queue of the store, calls to the store, requests sent.
//!
//! They follow the conventions for messaging (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>) and for databases
//! (<https://opentelemetry.io/docs/specs/semconv/database/database-spans/>). A message's own span continues the message's trace, so that one
//! trace leads from a device to a receiver; the batch that it was taken with is a trace of its own, and each links to the other.
//!
//! A batch's span is made when something was claimed, with the claim's start as its own, so that idle polls make none. `receive` is of kind CLIENT, as
//! the conventions have it; only `process` is CONSUMER.

use std::future::Future;
use std::time::SystemTime;

use pulse_domain::trace::TraceParent;
use pulse_store::{Database, Error, Result};
use pulse_telemetry::opentelemetry::KeyValue;
use pulse_telemetry::opentelemetry::trace::SpanKind;
use pulse_telemetry::{Span, SpanBuilder, Tracer};
use url::Url;

use crate::attribute;

/// `messaging.system`: the queues are Pulse's own.
const MESSAGING_SYSTEM: &str = "pulse";
const RECEIVE: &str = "receive";
const PROCESS: &str = "process";
/// What the other span of a link is: the batch that the message was taken with.
const BATCH: &str = "batch";

/// Starts the spans of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spans {
    tracer: Tracer,
    database: &'static str,
}

impl Spans {
    pub(crate) fn new<D: Database + ?Sized>(tracer: Tracer, database: &D) -> Self {
        Self { tracer, database: database.product() }
    }

    /// The tracer, for spans of the service's own.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// The span of a claim that is about to take work from a queue with the call `operation`.
    pub fn claim(&self, queue: &'static str, operation: &'static str) -> ClaimSpan<'_> {
        ClaimSpan { spans: self, queue, operation, began: SystemTime::now() }
    }

    /// The span of the work on one message: in the trace that the message brings, linked to its batch; without one, in the batch's.
    pub fn process(&self, queue: &'static str, cause: Option<&TraceParent>, batch: &Span) -> SpanBuilder {
        let span = self.message(PROCESS, queue).kind(SpanKind::Consumer);
        match cause {
            None => span.within(batch),
            Some(cause) if self.tracer.is_on() && batch.is_sampled() => {
                span.child_of(cause.as_str()).link_as(&batch.traceparent(), [KeyValue::new(attribute::LINK, BATCH)])
            }
            Some(cause) => span.child_of(cause.as_str()),
        }
    }

    /// Makes a call to the store that concerns this many rows, in a span of its own if the current span is recorded.
    ///
    /// # Errors
    /// The errors of the call.
    pub async fn query<T>(&self, operation: &'static str, rows: usize, call: impl Future<Output = Result<T>>) -> Result<T> {
        if Span::current().is_some_and(|span| span.is_recording()) {
            self.call(operation, rows).start().run(call, describe).await
        } else {
            call.await
        }
    }

    /// The span of a chore that turned out to be worth one, in a trace of its own, with the span of the call that it began with.
    pub fn chore(&self, name: &'static str, operation: &'static str, began: SystemTime) -> Span {
        let span = self.tracer.span(name).root().started_at(began).start();
        drop(self.called(&span, operation, began));
        span
    }

    /// The span of a call that has just ended.
    fn called(&self, within: &Span, operation: &'static str, began: SystemTime) -> Span {
        self.call(operation, 1).within(within).started_at(began).start()
    }

    /// The span of a call. The conventions have no batch size of one.
    fn call(&self, operation: &'static str, rows: usize) -> SpanBuilder {
        let span = self.tracer.span(operation).kind(SpanKind::Client);
        let span = span.attributes([KeyValue::new(attribute::DB_SYSTEM, self.database), KeyValue::new(attribute::DB_OPERATION, operation)]);
        if rows > 1 { span.attributes([number(attribute::DB_ROWS, rows)]) } else { span }
    }

    fn message(&self, operation: &'static str, queue: &'static str) -> SpanBuilder {
        let name = if self.tracer.is_on() { format!("{operation} {queue}") } else { String::new() };
        self.tracer.span(name).attributes([
            KeyValue::new(attribute::MESSAGING_SYSTEM, MESSAGING_SYSTEM),
            KeyValue::new(attribute::MESSAGING_OPERATION, operation),
            KeyValue::new(attribute::MESSAGING_OPERATION_TYPE, operation),
            KeyValue::new(attribute::MESSAGING_QUEUE, queue),
        ])
    }
}

/// A claim that is about to be made. It shows once it brought something, or failed: a poll that found nothing is no span.
#[derive(Debug)]
#[must_use = "it shows when it is run"]
pub struct ClaimSpan<'a> {
    spans: &'a Spans,
    queue: &'static str,
    operation: &'static str,
    began: SystemTime,
}

impl ClaimSpan<'_> {
    /// Makes the call.
    ///
    /// # Errors
    /// The errors of the call.
    pub async fn run<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let result = call.await;
        if let Err(error) = &result {
            let batch = self.batch().start();
            for span in [&self.spans.called(&batch, self.operation, self.began), &batch] {
                fail(span, error);
            }
        }
        result
    }

    /// The span of the batch that the call brought, in a trace of its own, linked to the contexts that the messages come from.
    pub fn received<'c>(&self, messages: usize, causes: impl IntoIterator<Item = &'c TraceParent>) -> Span {
        let batch = self.batch().attributes([number(attribute::MESSAGE_COUNT, messages)]);
        let batch = batch.causes(causes.into_iter().map(TraceParent::as_str)).start();
        drop(self.spans.called(&batch, self.operation, self.began));
        batch
    }

    fn batch(&self) -> SpanBuilder {
        self.spans.message(RECEIVE, self.queue).kind(SpanKind::Client).root().started_at(self.began)
    }
}

/// A request that is about to be sent. Its address may be a secret, so the span has only where it goes, not the path.
pub fn request(tracer: &Tracer, method: &'static str, url: &Url) -> Span {
    let span = tracer.span(method).kind(SpanKind::Client).attributes([KeyValue::new(attribute::HTTP_METHOD, method)]).start();
    if span.is_recording() {
        span.set(KeyValue::new(attribute::URL_SCHEME, url.scheme().to_owned()));
        span.set(KeyValue::new(attribute::SERVER_ADDRESS, url.host_str().unwrap_or_default().to_owned()));
        span.set(KeyValue::new(attribute::SERVER_PORT, i64::from(url.port_or_known_default().unwrap_or_default())));
    }
    span
}

/// Ends a span in a failure of the store.
pub fn fail(span: &Span, error: &Error) {
    if span.is_recording() {
        span.fail(error.kind(), error.to_string());
    }
}

/// A failure of the store as spans have it, for [`Span::run`].
pub fn describe(error: &Error) -> (&'static str, String) {
    (error.kind(), error.to_string())
}

/// The context of the span in whose scope this is called, to be stored with what is done there.
pub fn current_trace() -> Option<TraceParent> {
    Span::current().as_ref().and_then(trace_of)
}

/// A span's context, to be stored with what it brings about.
pub fn trace_of(span: &Span) -> Option<TraceParent> {
    TraceParent::parse(&span.traceparent()).ok()
}

/// A count as an attribute.
pub fn number(name: &'static str, count: usize) -> KeyValue {
    KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX))
}
