//! What went wrong, by kind: the one place where a transport's errors and a receiver's answers become [`Failure`]s, whose kind decides
//! on a retry and is the metric's label.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;
use std::time::Duration;

use pulse_domain::job::{ErrorKind, Failure};
use reqwest::StatusCode;

use crate::egress::Refusal;
use crate::excerpt;

/// The integration's own settings: `detail` says what to change.
pub(crate) fn config(detail: impl Into<String>) -> Failure {
    Failure { kind: ErrorKind::Config, http_status: None, detail: detail.into(), retry_after: None }
}

/// The egress guard has refused the destination.
pub(crate) fn blocked(refusal: Refusal) -> Failure {
    Failure { kind: ErrorKind::Blocked, http_status: None, detail: refusal.to_string(), retry_after: None }
}

/// An answer that is no success. `excerpt` is the beginning of its body, free of secrets.
pub(crate) fn answer(status: StatusCode, excerpt: &str, retry_after: Option<Duration>) -> Failure {
    let kind = if status.is_server_error() { ErrorKind::Server } else { ErrorKind::Refused };
    let what = if status.is_redirection() {
        format!("the receiver redirects ({status}), which deliveries do not follow: set the integration's URL to the final one")
    } else {
        format!("the receiver answered {status}")
    };
    // The store's texts hold no U+0000.
    let detail = if excerpt.is_empty() { what } else { format!("{what}: {}", excerpt.replace('\0', "\u{fffd}")) };
    Failure { kind, http_status: Some(status.as_u16()), detail, retry_after }
}

/// There was no answer at all. The texts are made here or come from the innermost cause, never from reqwest itself, whose errors hold the URL.
pub(crate) fn transport(error: &reqwest::Error, connect_timeout: Duration, timeout: Duration) -> Failure {
    let (kind, detail) = if let Some(refusal) = cause::<Refusal>(error) {
        return blocked(*refusal);
    } else if let Some(tls) = cause::<rustls::Error>(error) {
        (ErrorKind::Tls, format!("no secure connection: {}", printable(tls)))
    } else if error.is_connect() && error.is_timeout() {
        (ErrorKind::Connect, format!("no connection within {connect_timeout:?}"))
    } else if error.is_timeout() {
        (ErrorKind::Timeout, format!("no answer within {timeout:?}"))
    } else if error.is_dns() {
        (ErrorKind::Connect, "the host name cannot be resolved".to_owned())
    } else if error.is_connect() {
        (ErrorKind::Connect, format!("no connection: {}", innermost(error)))
    } else if error.is_builder() {
        (ErrorKind::Config, "no request can be made from the integration's settings: check its URL and headers".to_owned())
    } else if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        (ErrorKind::Server, "the answer is not HTTP".to_owned())
    } else {
        (ErrorKind::Connect, format!("the connection broke before an answer came: {}", innermost(error)))
    };
    Failure { kind, http_status: None, detail, retry_after: None }
}

/// The first error of a type in the chain.
fn cause<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    chain(error).flat_map(|link| std::iter::successors(Some(link), |link| hidden(*link))).find_map(|link| link.downcast_ref::<E>())
}

/// The error that an `io::Error` wraps, which may be another `io::Error`: `source` would skip it and give that error's source.
fn hidden<'a>(link: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    link.downcast_ref::<io::Error>().and_then(io::Error::get_ref).map(|inner| inner as &(dyn StdError + 'static))
}

/// The innermost cause of an error.
fn innermost(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "unknown".to_owned(), printable)
}

/// An error that may repeat what the receiver sent, such as any number of names in a certificate with any byte in them: U+0000 would keep
/// the attempt out of the store, and so the job from its end.
fn printable(error: &(impl Display + ?Sized)) -> String {
    excerpt::of(error.to_string().as_bytes(), &[])
}

/// The causes of an error, itself not among them.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&link| link.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_who_is_to_blame() {
        for (status, kind, retryable) in [
            (301, ErrorKind::Refused, false),
            (304, ErrorKind::Refused, false),
            (400, ErrorKind::Refused, false),
            (401, ErrorKind::Refused, false),
            (404, ErrorKind::Refused, false),
            (408, ErrorKind::Refused, true),
            (410, ErrorKind::Refused, false),
            (425, ErrorKind::Refused, true),
            (429, ErrorKind::Refused, true),
            (500, ErrorKind::Server, true),
            (503, ErrorKind::Server, true),
            (599, ErrorKind::Server, true),
        ] {
            let failure = answer(StatusCode::from_u16(status).unwrap(), "", None);
            assert_eq!((failure.kind, failure.is_retryable(), failure.http_status), (kind, retryable, Some(status)), "{status}");
        }
    }

    #[test]
    fn the_answers_body_is_part_of_the_detail() {
        let failure = answer(StatusCode::BAD_REQUEST, "no such channel", None);
        assert_eq!(failure.detail, "the receiver answered 400 Bad Request: no such channel");
        assert!(answer(StatusCode::BAD_REQUEST, "a\0b", None).detail.ends_with("a\u{fffd}b"));
    }

    #[test]
    fn what_a_certificate_says_is_one_short_line() {
        let expected = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let presented = (0..1_000).map(|number| format!("DnsName(\"a\0b\n{number}\")")).collect();
        let error = rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForNameContext { expected, presented });
        let text = printable(&error);
        assert!(text.contains("only valid for DnsName(\"a b 0\")") && !text.contains(char::is_control), "{text}");
        assert!(text.chars().count() < 300, "{text}");
    }
}
