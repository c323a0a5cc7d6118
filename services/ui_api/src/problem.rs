//! Every error as a client sees it: an RFC 9457 problem document, from one closed set of kinds.

use std::borrow::Cow;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use pulse_domain::reading::RejectReason;
use pulse_runtime::problem::{Document, RETRY_AFTER_SECONDS, UNAVAILABLE};

/// The longest detail, in characters: some texts repeat what the client wrote.
const DETAIL_MAX_CHARS: usize = 500;

/// What went wrong: decides on status, code and title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A reading, for one of the reasons that devices know.
    Rejected(RejectReason),
    MalformedJson,
    Validation,
    InvalidQuery,
    InvalidCursor,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    UnsupportedMediaType,
    PayloadTooLarge,
    TooManyMessages,
    Timeout,
    Conflict,
    Unavailable,
    Internal,
}

impl Kind {
    /// Status, stable code, title: the one place that says so.
    fn parts(self) -> pulse_runtime::problem::Kind {
        use RejectReason as Reason;
        match self {
            Self::Rejected(reason) => match reason {
                Reason::Invalid => (StatusCode::BAD_REQUEST, reason.as_str(), "The message cannot be read"),
                Reason::SiteMismatch => (StatusCode::BAD_REQUEST, reason.as_str(), "The device stands on another site"),
                Reason::TooManyMetrics => (StatusCode::BAD_REQUEST, reason.as_str(), "Too many metrics in one reading"),
                Reason::MetricKeyTooLong => (StatusCode::BAD_REQUEST, reason.as_str(), "A metric's name is too long"),
                Reason::MetricKeyInvalid => (StatusCode::BAD_REQUEST, reason.as_str(), "A metric's name cannot be taken"),
                Reason::TokenMissing => (StatusCode::UNAUTHORIZED, reason.as_str(), "The device's token is missing"),
                Reason::TokenInvalid => (StatusCode::UNAUTHORIZED, reason.as_str(), "The device's token is wrong"),
                Reason::DeviceRevoked => (StatusCode::FORBIDDEN, reason.as_str(), "The device is revoked"),
                Reason::UnregisteredDevice => (StatusCode::FORBIDDEN, reason.as_str(), "The device is not registered"),
                Reason::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, reason.as_str(), "The body is too large"),
                Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, reason.as_str(), "Too many readings"),
                Reason::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, reason.as_str(), "Readings cannot be taken now"),
            },
            Self::MalformedJson => (StatusCode::BAD_REQUEST, "MALFORMED_JSON", "The body is not JSON"),
            Self::Validation => (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED", "The body does not fit"),
            Self::InvalidQuery => (StatusCode::BAD_REQUEST, "INVALID_QUERY", "The query does not fit"),
            Self::InvalidCursor => (StatusCode::BAD_REQUEST, "INVALID_CURSOR", "The cursor is not of this list"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "A valid token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "FORBIDDEN", "The token does not allow it"),
            Self::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND", "There is no such thing"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "The method is not allowed here"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "The body must be JSON"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", "The body is too large"),
            Self::TooManyMessages => (StatusCode::PAYLOAD_TOO_LARGE, "TOO_MANY_MESSAGES", "Too many messages in one batch"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The body did not arrive in time"),
            Self::Conflict => (StatusCode::CONFLICT, "CONFLICT", "It does not go with what is there"),
            Self::Unavailable => UNAVAILABLE,
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "An error of ours"),
        }
    }
}

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    retry_after_seconds: Option<u64>,
    cause: Option<Unserved>,
}

/// With the response to a request that the database kept from being served: why, for the log. Logged by `request_telemetry`, which knows how often.
#[derive(Debug, Clone)]
pub(crate) struct Unserved(pub(crate) String);

impl Problem {
    /// `detail` says what is wrong and what would be right; it never holds texts of the database.
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_MAX_CHARS) {
            detail = format!("{}…", &detail[..end]).into();
        }
        let retry_after_seconds =
            matches!(kind, Kind::Unavailable | Kind::Rejected(RejectReason::Unavailable)).then_some(RETRY_AFTER_SECONDS);
        Self { kind, detail, retry_after_seconds, cause: None }
    }

    /// Says when to come back.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// A body that does not fit, with what would.
    pub(crate) fn validation(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Validation, detail)
    }

    /// For example `not_found("rule")`.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no such {what}"))
    }

    /// A defect; its cause is in the log.
    pub(crate) fn internal() -> Self {
        Self::new(Kind::Internal, "the error is in the service's log")
    }
}

impl From<pulse_store::Error> for Problem {
    fn from(error: pulse_store::Error) -> Self {
        use pulse_store::Error;
        match error {
            Error::Conflict { what } => Self::new(Kind::Conflict, format!("{what} exists already")),
            Error::Missing { what: "the cursor" } => Self::new(Kind::InvalidCursor, "hand back `next` of this list's last page as `after`"),
            Error::Missing { what } => Self::validation(format!("{what} does not exist")),
            Error::Unavailable(_) | Error::Schema(_) => {
                let cause = Unserved(pulse_runtime::Chain(&error).to_string());
                Self { cause: Some(cause), ..Self::new(Kind::Unavailable, "the database is not available, try again") }
            }
            Error::Corrupt { .. } | Error::Rejected(_) => {
                tracing::error!(error = %pulse_runtime::Chain(&error), "a request could not be served");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Document::new(self.kind.parts(), &self.detail).into_response();
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        match self.kind {
            Kind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Rejected(RejectReason::TokenMissing | RejectReason::TokenInvalid) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("ProvisionToken header=\"X-Provision-Token\""));
            }
            _ => {}
        }
        response
    }
}

/// Answers what no route knows.
pub(crate) async fn no_route(request: Request) -> Problem {
    Problem::new(Kind::NotFound, format!("nothing is at {}: /api/openapi.json lists what there is", request.uri().path()))
}

/// Answers a method that a route does not know; axum adds `Allow`.
pub(crate) async fn no_method(request: Request) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{} cannot be done here: the header Allow lists what can", request.method()))
}

/// Answers for a handler that panicked.
#[expect(clippy::needless_pass_by_value, reason = "tower-http hands it over")]
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = said.unwrap_or("without a text"), "a request's handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_details_are_cut_between_characters() {
        let problem = Problem::validation("é".repeat(2_000));
        assert_eq!(problem.detail.chars().count(), DETAIL_MAX_CHARS + 1);
    }

    #[test]
    fn texts_of_the_database_stay_here() {
        let secret = || Box::<dyn std::error::Error + Send + Sync>::from("SELECT secret FROM tokens");
        for (error, status) in [
            (pulse_store::Error::Unavailable(secret()), 503),
            (pulse_store::Error::Rejected(secret()), 500),
            (pulse_store::Error::Corrupt { what: "a rule", source: secret() }, 500),
        ] {
            let problem = Problem::from(error);
            assert_eq!(problem.kind.parts().0.as_u16(), status);
            assert!(!problem.detail.contains("SELECT"));
        }
    }
}
