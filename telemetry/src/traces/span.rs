//! Spans of one service, named and parented by the caller, carried on as W3C text.
//!
//! Explicit rather than through the `tracing` crate: a process may hold several services, each with its own resource, and a trace's next
//! parent comes out of a database as often as it comes from the caller. Log records join in: whatever is logged within
//! [`Span::in_scope`] carries the span's ids.

use std::borrow::Cow;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};
use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::trace::{Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SdkTracer};

use super::propagation;
use crate::logs::record::ServiceLog;

/// The convention's attribute for what went wrong, a value of a closed set.
const ERROR_TYPE: &str = "error.type";
/// The `error.type` of work that was dropped before it had ended.
const CANCELLED: &str = "cancelled";
/// The most causes that the span of a batch names.
const CAUSES_MAX: usize = 64;

/// Starts the spans of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tracer {
    /// None: nothing is recorded. Spans still have ids, so that what is carried on stays one trace.
    sdk: Option<SdkTracer>,
    /// Whether traces are taken over from callers and handed on, as `OTEL_PROPAGATORS` says.
    propagate: bool,
    /// Whose records are logged in a span's scope.
    log: ServiceLog,
    #[cfg(feature = "testing")]
    kept: Option<super::kept::KeptSpans>,
}

impl Tracer {
    pub(crate) fn new(sdk: Option<SdkTracer>, propagate: bool, log: ServiceLog) -> Self {
        Self {
            sdk,
            propagate,
            log,
            #[cfg(feature = "testing")]
            kept: None,
        }
    }

    /// The `traceparent` of a caller, when there is exactly one, it is well formed, and `OTEL_PROPAGATORS` does not turn this off.
    pub fn extract(&self, headers: &HeaderMap) -> Option<String> {
        propagation::extract(headers).filter(|_| self.propagate)
    }

    /// Puts the `traceparent` of `span` into the headers of a request that is made in it, unless `OTEL_PROPAGATORS` turns this off.
    pub fn inject(&self, span: &Span, headers: &mut HeaderMap) {
        if self.propagate
            && let Ok(value) = HeaderValue::try_from(span.traceparent())
        {
            headers.insert(propagation::TRACEPARENT, value);
        }
    }

    /// One whose spans are kept for a test, if that is wanted: roots are sampled, children as their parents were.
    #[cfg(feature = "testing")]
    pub(crate) fn keeping(self, kept: Option<super::kept::KeptSpans>) -> Self {
        use opentelemetry::trace::TracerProvider as _;
        use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
        let Some(kept) = kept else { return self };
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let provider = SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(kept.clone()).build();
        Self { sdk: Some(provider.tracer("pulse")), kept: Some(kept), ..self }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn kept_spans(&self) -> Option<&super::kept::KeptSpans> {
        self.kept.as_ref()
    }

    /// Whether spans are recorded at all. When not, names, attributes and links go nowhere, and a caller need not make them.
    pub fn is_on(&self) -> bool {
        self.sdk.is_some()
    }

    /// A span to be: internal, and a child of the span in whose scope it is started, if there is one. Names follow the semantic conventions
    /// and are of low cardinality: `POST /orders/{id}`, `process jobs`.
    pub fn span(&self, name: impl Into<Cow<'static, str>>) -> SpanBuilder {
        SpanBuilder {
            tracer: self.clone(),
            api: opentelemetry::trace::SpanBuilder::from_name(name),
            parent: Parent::Current,
            links: Vec::new(),
        }
    }
}

#[derive(Debug)]
enum Parent {
    Current,
    None,
    Of(SpanContext),
}

/// What a span starts from.
#[derive(Debug)]
#[must_use = "nothing is started before start"]
pub struct SpanBuilder {
    tracer: Tracer,
    api: opentelemetry::trace::SpanBuilder,
    parent: Parent,
    links: Vec<Link>,
}

impl SpanBuilder {
    /// Server, client, producer, consumer; internal is the default.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.api.span_kind = Some(kind);
        self
    }

    /// Continues the trace of a `traceparent`; one that is not well formed makes a root.
    pub fn child_of(mut self, traceparent: &str) -> Self {
        self.parent = propagation::context(traceparent).map_or(Parent::None, Parent::Of);
        self
    }

    /// Continues the trace of a caller, as [`Tracer::extract`] finds it; without one this is a root.
    pub fn continuing(mut self, headers: &HeaderMap) -> Self {
        let caller = if self.tracer.propagate { propagation::extract_context(headers) } else { None };
        self.parent = caller.map_or(Parent::None, Parent::Of);
        self
    }

    /// A child of a span of this process, whatever is in scope.
    pub fn within(mut self, parent: &Span) -> Self {
        self.parent = Parent::Of(parent.context.span().span_context().clone());
        self
    }

    /// A trace of its own, whatever is in scope.
    pub fn root(mut self) -> Self {
        self.parent = Parent::None;
        self
    }

    /// A further cause, as a link; one that is not well formed is passed over. The SDK keeps the first 128 unless told otherwise.
    pub fn link(self, traceparent: &str) -> Self {
        self.link_as(traceparent, [])
    }

    /// A further cause, with attributes that say what it is to this span.
    pub fn link_as(mut self, traceparent: &str, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        if self.tracer.is_on() {
            let attributes = attributes.into_iter().collect();
            self.links.extend(propagation::context(traceparent).map(|cause| Link::new(cause, attributes, 0)));
        }
        self
    }

    /// The causes of a batch, as links: the first 64 distinct ones that are sampled, as nobody will find the others.
    pub fn causes<'a>(mut self, traceparents: impl IntoIterator<Item = &'a str>) -> Self {
        if !self.tracer.is_on() {
            return self;
        }
        let mut last = "";
        for traceparent in traceparents {
            if self.links.len() >= CAUSES_MAX {
                break;
            }
            // A request's readings, say, follow each other.
            if std::mem::replace(&mut last, traceparent) == traceparent {
                continue;
            }
            let Some(cause) = propagation::context(traceparent).filter(SpanContext::is_sampled) else { continue };
            if self.links.iter().all(|link| link.span_context != cause) {
                self.links.push(Link::new(cause, Vec::new(), 0));
            }
        }
        self
    }

    /// Attributes that a sampler may look at. What takes work to make is better given to a [`Span`] that is recording.
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        if self.tracer.is_on() {
            self.api.attributes.get_or_insert_default().extend(attributes);
        }
        self
    }

    /// When it began, if not now.
    pub fn started_at(mut self, at: SystemTime) -> Self {
        self.api.start_time = Some(at);
        self
    }

    /// Starts it.
    pub fn start(self) -> Span {
        let current = self.tracer.log.in_context(Context::current());
        let parent = match self.parent {
            Parent::Current => current.span().span_context().clone(),
            Parent::None => SpanContext::empty_context(),
            Parent::Of(context) => context,
        };
        let Some(sdk) = self.tracer.sdk.as_ref().filter(|_| !current.is_telemetry_suppressed()) else {
            return Span::not_recorded(&current, &parent);
        };
        let api = if self.links.is_empty() { self.api } else { self.api.with_links(self.links) };
        // A parent that is not valid is no root to samplers: they would take it for one that is not sampled.
        let within = if parent.is_valid() { current.with_remote_span_context(parent.clone()) } else { Context::new() };
        let span = sdk.build_with_context(api, &within);
        if !span.span_context().is_valid() {
            // The provider was shut down.
            return Span::not_recorded(&current, &parent);
        }
        let recording = span.is_recording();
        Span { context: current.with_span(span), recording }
    }
}

/// A span under way. It ends when the last clone of it is dropped, or at [`end`](Self::end).
#[derive(Debug, Clone)]
pub struct Span {
    context: Context,
    recording: bool,
}

impl Span {
    /// Ids alone: the parent's trace and its decision to sample passed on untouched; a new trace, not sampled, without a parent.
    fn not_recorded(current: &Context, parent: &SpanContext) -> Self {
        let ids = RandomIdGenerator::default();
        let trace_id = if parent.is_valid() { parent.trace_id() } else { ids.new_trace_id() };
        let context = SpanContext::new(trace_id, ids.new_span_id(), parent.trace_flags(), false, TraceState::NONE);
        Self { context: current.with_remote_span_context(context), recording: false }
    }

    /// The span in whose scope this is called, if there is one.
    pub fn current() -> Option<Self> {
        let context = Context::current();
        let recording = context.span().is_recording();
        context.has_active_span().then_some(Self { context, recording })
    }

    /// False: attributes given to it go nowhere, so there is no need to make them.
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    /// Whether its trace is sampled, so that a link to it leads somewhere. One that is not may be recorded all the same, should it fail.
    pub fn is_sampled(&self) -> bool {
        self.context.span().span_context().is_sampled()
    }

    /// Its context as a `traceparent`, to be stored or sent.
    pub fn traceparent(&self) -> String {
        let span = self.context.span();
        let context = span.span_context();
        propagation::text(context.trace_id(), context.span_id(), context.trace_flags())
    }

    /// Adds an attribute.
    pub fn set(&self, attribute: KeyValue) {
        self.context.span().set_attribute(attribute);
    }

    /// Ends in an error. `kind` is the attribute `error.type`, a value of a closed set; `detail` is for people and holds no secret.
    pub fn fail(&self, kind: impl Into<StringValue>, detail: impl Into<Cow<'static, str>>) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new(ERROR_TYPE, kind.into()));
        span.set_status(Status::error(detail));
    }

    /// Runs `work` with this as the current span: spans started in it are its children, what is logged is the service's and carries its ids.
    pub fn in_scope<F: Future>(&self, work: F) -> WithContext<F> {
        work.with_context(self.context.clone())
    }

    /// Runs `work` in scope, and ends in an error if it fails, with the kind and detail that `describe` gives for [`fail`](Self::fail), or
    /// is dropped before its end.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn run<T, E>(&self, work: impl Future<Output = Result<T, E>>, describe: fn(&E) -> (&'static str, String)) -> Result<T, E> {
        if !self.recording {
            return self.in_scope(work).await;
        }
        let unfinished = Unfinished(self);
        let result = self.in_scope(work).await;
        std::mem::forget(unfinished);
        if let Err(error) = &result {
            let (kind, detail) = describe(error);
            self.fail(kind, detail);
        }
        result
    }

    /// Ends now, though there may be clones.
    pub fn end(&self) {
        self.context.span().end();
    }
}

/// Work that was dropped is no success.
struct Unfinished<'a>(&'a Span);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.fail(CANCELLED, "dropped before it had ended");
    }
}
