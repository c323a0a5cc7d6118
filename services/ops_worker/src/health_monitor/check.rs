//! One check of one service: a GET that must be answered with 2xx in time.

use std::time::Duration;

use pulse_runtime::{attribute, spans, tls};
use pulse_telemetry::opentelemetry::KeyValue;
use pulse_telemetry::{Span, Tracer};
use reqwest::Client;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;

use crate::target::WatchTarget;

/// The attribute of a check's span that names the service.
const TARGET: &str = "pulse.ops.target";

type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// Why a service counts as not well. The text is for people and stands in the alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no connection")]
    Connect,
    #[error("answered with status {0}")]
    Status(u16),
    #[error("the answer could not be read")]
    Other,
}

impl CheckError {
    /// The closed set of the label `outcome`, beside `ok`.
    pub(crate) const LABELS: [&'static str; 4] = ["timeout", "connect", "status", "other"];

    /// The place of its label in [`Self::LABELS`].
    pub(crate) fn label_index(&self) -> usize {
        match self {
            Self::Timeout(_) => 0,
            Self::Connect => 1,
            Self::Status(_) => 2,
            Self::Other => 3,
        }
    }
}

/// The one client of all checks.
#[derive(Debug)]
pub(crate) struct Checker {
    client: Client,
    tracer: Tracer,
    timeout: Duration,
}

impl Checker {
    /// No proxy and no redirect: the service itself is to answer.
    pub(crate) fn new(timeout: Duration, tracer: Tracer) -> Result<Self, BuildError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client_config(tls::web_roots())?)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .user_agent(concat!("pulse-ops-worker/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, tracer, timeout })
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks once. The body is not read, as the status is enough.
    pub(crate) async fn check(&self, target: &WatchTarget) -> Result<(), CheckError> {
        let span = spans::request(&self.tracer, "GET", target.url());
        if span.is_recording() {
            span.set(KeyValue::new(TARGET, target.name().to_string()));
        }
        span.run(self.get(target, &span), |error| (CheckError::LABELS[error.label_index()], error.to_string())).await
    }

    async fn get(&self, target: &WatchTarget, span: &Span) -> Result<(), CheckError> {
        let mut headers = HeaderMap::new();
        self.tracer.inject(span, &mut headers);
        let answer = self.client.get(target.url().clone()).headers(headers).send().await;
        let answer = answer.map_err(|error| self.no_answer(error))?;
        let status = answer.status();
        span.set(KeyValue::new(attribute::HTTP_STATUS, i64::from(status.as_u16())));
        if status.is_success() { Ok(()) } else { Err(CheckError::Status(status.as_u16())) }
    }

    fn no_answer(&self, error: reqwest::Error) -> CheckError {
        if error.is_timeout() {
            return CheckError::Timeout(self.timeout);
        }
        if error.is_connect() {
            return CheckError::Connect;
        }
        tracing::debug!(error = %error.without_url(), "a health check could not be read");
        CheckError::Other
    }
}
