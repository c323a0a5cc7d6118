//! Requests by method, path template and status. The templates are the router's own and methods a closed set, so that no client can make
//! series; each label set is bound once and then found without hashing its labels.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use http::{Method, StatusCode};
use pulse_telemetry::conventions::HTTP_SERVER_REQUEST_DURATION;
use pulse_telemetry::{BoundCounter, BoundHistogram, Counter, Definition, Histogram, Telemetry};

pub(super) const HTTP_REQUESTS: Definition = Definition::counter(
    "pulse_http_requests_total",
    "{request}",
    "Requests answered. Status 499: the client left, or the request was cut, before there was an answer.",
    &["method", "path_template", "status_code"],
);
pub(super) const HTTP_DURATION: Definition = Definition::histogram(
    "pulse_http_request_duration_seconds",
    "s",
    "Time from a request's head to its answer's head.",
    &["method", "path_template", "status_code"],
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
);

/// The template of requests that no route knows.
const UNMATCHED: &str = "unmatched";
/// The label of methods that HTTP does not know.
pub(crate) const OTHER_METHOD: &str = "_OTHER";
/// The status that is counted when there was no answer: the client left, or the request was cut.
const STATUS_CUT: u16 = 499;

/// Counts and times every request.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    requests: Counter,
    duration: Histogram,
    /// The conventions' own, where they are wanted.
    convention: Option<Histogram>,
    templates: HashMap<Box<str>, Series>,
    unmatched: Series,
}

/// The bound handles of one template.
type Series = RwLock<HashMap<(&'static str, u16), Bound>>;

#[derive(Debug, Clone)]
struct Bound {
    requests: BoundCounter,
    duration: BoundHistogram,
    convention: Option<BoundHistogram>,
}

impl Bound {
    fn record(&self, seconds: f64) {
        self.requests.add(1);
        self.duration.record(seconds);
        self.convention.iter().for_each(|duration| duration.record(seconds));
    }
}

impl HttpMetrics {
    /// The metrics for the templates of a router. `expected` are method, template and status of the answers that show 0 from the first scrape on.
    pub(crate) fn new(
        telemetry: &Telemetry,
        templates: impl IntoIterator<Item = String>,
        expected: &[(&'static str, &'static str, u16)],
    ) -> Arc<Self> {
        let metrics = Self {
            requests: telemetry.counter(&HTTP_REQUESTS),
            duration: telemetry.histogram(&HTTP_DURATION),
            convention: telemetry.conventions().then(|| telemetry.histogram(&HTTP_SERVER_REQUEST_DURATION)),
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
            let code = status.to_string();
            let labels = [("method", method), ("path_template", template), ("status_code", code.as_str())];
            let convention = self.convention.as_ref().map(|duration| bind_convention(duration, template, method, status, &code));
            Bound { requests: self.requests.bind(&labels), duration: self.duration.bind(&labels), convention }
        });
        record(bound);
    }
}

/// Binds the conventions' own histogram: no route where none matched, no status where there was no answer, an error where it is the server's.
fn bind_convention(duration: &Histogram, template: &str, method: &str, status: u16, code: &str) -> BoundHistogram {
    let (code, error) = match status {
        STATUS_CUT => ("", "cancelled"),
        500.. => (code, code),
        _ => (code, ""),
    };
    duration.bind(&[
        ("http.request.method", method),
        ("http.route", if template == UNMATCHED { "" } else { template }),
        ("http.response.status_code", code),
        ("url.scheme", "http"),
        ("error.type", error),
    ])
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
    /// A request begins.
    pub(crate) fn new(metrics: &Arc<HttpMetrics>, request: &Request) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            method: method_label(request.method()),
            template: request.extensions().get::<MatchedPath>().cloned(),
            began: Instant::now(),
            status: STATUS_CUT,
        }
    }

    /// The request was answered.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let template = self.template.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        self.metrics.with(template, self.method, self.status, |bound| bound.record(seconds));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;

    use super::*;

    const ROUTE: &str = "/things/{id}";

    fn measured(conventions: bool) -> Telemetry {
        let telemetry = Telemetry::builder("ui_api").env(|_| None).conventions(conventions).init().unwrap();
        let metrics = HttpMetrics::new(&telemetry, [ROUTE.to_owned()], &[("GET", ROUTE, 200), ("GET", ROUTE, 503)]);
        let request = Request::new(Body::empty());
        UnderWay::new(&metrics, &request).answered(StatusCode::NOT_FOUND);
        drop(UnderWay::new(&metrics, &request));
        telemetry
    }

    #[test]
    fn the_conventions_histogram_says_the_same_in_their_words() {
        let telemetry = measured(true);
        let series: BTreeSet<_> = telemetry
            .series("http_server_request_duration_count")
            .into_iter()
            .map(|(labels, count)| {
                assert_eq!((labels["http_request_method"].as_str(), labels["url_scheme"].as_str()), ("GET", "http"));
                let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
                (label("http_route"), label("http_response_status_code"), label("error_type"), count.to_string())
            })
            .collect();
        let wanted = [(ROUTE, "200", "", "0"), (ROUTE, "503", "503", "0"), ("", "404", "", "1"), ("", "", "cancelled", "1")];
        assert_eq!(series, wanted.map(|(route, status, error, count)| (route.into(), status.into(), error.into(), count.into())).into());
        assert_eq!(telemetry.complaints(), [""; 0]);
    }

    #[test]
    fn unless_asked_for_it_is_absent() {
        let telemetry = measured(false);
        assert!(telemetry.series("http_server_request_duration_count").is_empty());
        assert_eq!(telemetry.series("pulse_http_request_duration_seconds_count").len(), 4);
    }
}
