//! Requests by method, path template and status. The templates are the router's own and methods a closed set, so that no client can make
//! series; each label set is bound once and then found without hashing its labels.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use http::{Method, StatusCode};
use pulse_telemetry::{BoundCounter, BoundHistogram, Counter, Histogram, Telemetry};

use super::{HTTP_DURATION, HTTP_REQUESTS};

/// The template of requests that no route knows.
const UNMATCHED: &str = "unmatched";
/// The label of methods that HTTP does not know.
pub(crate) const OTHER_METHOD: &str = "_OTHER";
/// What is counted when there was no answer: the client left, or the request was cut.
const STATUS_CUT: u16 = 499;

/// Counts and times every request.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    requests: Counter,
    duration: Histogram,
    templates: HashMap<Box<str>, Series>,
    unmatched: Series,
}

/// The bound handles of one template.
type Series = RwLock<HashMap<(&'static str, u16), Bound>>;

#[derive(Debug, Clone)]
struct Bound {
    requests: BoundCounter,
    duration: BoundHistogram,
}

impl HttpMetrics {
    /// For the templates of a router. `expected` are method, template and status of the answers that show 0 from the first scrape on.
    pub(crate) fn new(
        telemetry: &Telemetry,
        templates: impl IntoIterator<Item = String>,
        expected: &[(&'static str, &'static str, u16)],
    ) -> Arc<Self> {
        let metrics = Self {
            requests: telemetry.counter(&HTTP_REQUESTS),
            duration: telemetry.histogram(&HTTP_DURATION),
            templates: templates.into_iter().map(|template| (template.into_boxed_str(), Series::default())).collect(),
            unmatched: Series::default(),
        };
        for (method, template, status) in expected {
            metrics.with(template, method, *status, |_| {});
        }
        Arc::new(metrics)
    }

    /// Finds the handles of a label set, bound on first use.
    fn with(&self, template: &str, method: &'static str, status: u16, record: impl FnOnce(&Bound)) {
        let (template, series) = match self.templates.get(template) {
            Some(series) => (template, series),
            None => (UNMATCHED, &self.unmatched),
        };
        if let Some(bound) = series.read().unwrap_or_else(PoisonError::into_inner).get(&(method, status)) {
            return record(bound);
        }
        let mut series = series.write().unwrap_or_else(PoisonError::into_inner);
        let bound = series.entry((method, status)).or_insert_with(|| {
            let status = status.to_string();
            let labels = [("method", method), ("path_template", template), ("status_code", status.as_str())];
            Bound { requests: self.requests.bind(&labels), duration: self.duration.bind(&labels) }
        });
        record(bound);
    }
}

/// The name of a method that HTTP knows, or one name for all others.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => OTHER_METHOD,
    }
}

/// A request under way; counted when it is dropped, whether it was answered or not.
pub(crate) struct UnderWay {
    metrics: Arc<HttpMetrics>,
    method: &'static str,
    template: Option<MatchedPath>,
    began: Instant,
    status: u16,
}

impl UnderWay {
    /// It begins.
    pub(crate) fn new(metrics: &Arc<HttpMetrics>, request: &Request) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            method: method_label(request.method()),
            template: request.extensions().get::<MatchedPath>().cloned(),
            began: Instant::now(),
            status: STATUS_CUT,
        }
    }

    /// It was answered.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let template = self.template.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        self.metrics.with(template, self.method, self.status, |bound| {
            bound.requests.add(1);
            bound.duration.record(seconds);
        });
    }
}
