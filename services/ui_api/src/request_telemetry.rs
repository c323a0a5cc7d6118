//! Counts, times and traces every request, whether or not it is answered.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use pulse_runtime::{Outage, attribute};
use pulse_telemetry::opentelemetry::KeyValue;
use pulse_telemetry::opentelemetry::trace::SpanKind;
use pulse_telemetry::{Span, Tracer};

use crate::metrics::{HttpMetrics, OTHER_METHOD, UnderWay, method_label};
use crate::problem::Unserved;

/// The attributes that only a server's span has.
const ROUTE: &str = "http.route";
const PATH: &str = "url.path";
/// A longer path is somebody's garbage.
const PATH_MAX_BYTES: usize = 512;
/// The convention's name for a method that HTTP does not know, in a span's name.
const OTHER_METHOD_NAME: &str = "HTTP";
/// The `error.type` of a request that was not answered.
const CANCELLED: &str = "cancelled";

/// What the middleware works with.
#[derive(Debug)]
pub(crate) struct RequestTelemetry {
    pub(crate) metrics: Arc<HttpMetrics>,
    pub(crate) tracer: Tracer,
    /// An outage of the database: with a line for each request there would be thousands.
    pub(crate) outage: Mutex<Outage>,
}

/// The middleware. What is done for the request is done within its span.
pub(crate) async fn observe(State(telemetry): State<Arc<RequestTelemetry>>, request: Request, next: Next) -> Response {
    let mut under_way = UnderWay::new(&telemetry.metrics, &request);
    let mut span = RequestSpan::start(&telemetry.tracer, &request);
    let response = span.span.in_scope(next.run(request)).await;
    if let Some(Unserved(error)) = response.extensions().get() {
        telemetry.unserved(error);
    }
    under_way.answered(response.status());
    span.answered(response.status());
    response
}

impl RequestTelemetry {
    fn unserved(&self, error: &str) {
        if let Some(requests) = self.outage.lock().unwrap_or_else(PoisonError::into_inner).failed() {
            tracing::warn!(error, requests, "requests cannot be served");
        }
    }
}

/// The span of a request, by <https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server>.
struct RequestSpan {
    span: Span,
    answered: bool,
}

impl RequestSpan {
    /// Begins a span in the trace that the request names, or in one of its own. A path that no route knows may hold anything and is left out, and so is
    /// the query; what the routes take in paths is no secret.
    fn start(tracer: &Tracer, request: &Request) -> Self {
        let method = method_label(request.method());
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).filter(|_| tracer.is_on());
        let name = match (if method == OTHER_METHOD { OTHER_METHOD_NAME } else { method }, route) {
            (method, Some(route)) => Cow::Owned(format!("{method} {route}")),
            (method, None) => Cow::Borrowed(method),
        };
        let span = tracer.span(name).kind(SpanKind::Server).continuing(request.headers());
        let span = span.attributes([KeyValue::new(attribute::HTTP_METHOD, method), KeyValue::new(attribute::URL_SCHEME, "http")]);
        let span = match route {
            Some(route) => span.attributes([KeyValue::new(ROUTE, route.to_owned())]),
            None => span,
        };
        let span = span.start();
        let path = request.uri().path();
        if span.is_recording() && route.is_some() && path.len() <= PATH_MAX_BYTES {
            span.set(KeyValue::new(PATH, path.to_owned()));
        }
        Self { span, answered: false }
    }

    /// The request was answered. A 4xx is no error of the server.
    fn answered(&mut self, status: StatusCode) {
        self.answered = true;
        if !self.span.is_recording() {
            return;
        }
        self.span.set(KeyValue::new(attribute::HTTP_STATUS, i64::from(status.as_u16())));
        if status.is_server_error() {
            self.span.fail(status.as_str().to_owned(), "");
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if !self.answered && self.span.is_recording() {
            self.span.fail(CANCELLED, "the client left, or the request was cut, before there was an answer");
        }
    }
}
