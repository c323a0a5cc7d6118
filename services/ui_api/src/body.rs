//! Reading bodies within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;

/// The longest a whole body may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(20);

/// Why a body cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// More than the limit; no more than that was read.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke, or its framing is wrong.
    Broken,
}

/// Reads a whole body of at most `max_bytes`. One that declares to be larger is refused unread.
pub(crate) async fn read(body: Body, max_bytes: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(BodyError::TooLarge);
    }
    let read = tokio::time::timeout(ARRIVAL_MAX, axum::body::to_bytes(body, max_bytes)).await;
    read.map_err(|_| BodyError::TooSlow)?.map_err(|error| reason(&error))
}

fn reason(error: &axum::Error) -> BodyError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return BodyError::TooLarge;
        }
        if error.is::<tower_http::timeout::TimeoutError>() {
            return BodyError::TooSlow;
        }
        source = error.source();
    }
    BodyError::Broken
}

/// A length for people.
pub(crate) fn kib(bytes: usize) -> String {
    if bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} bytes") }
}
