//! The W3C trace context as it travels with readings, events and jobs: opaque text, checked on entry.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A `traceparent` header's value, version 00 (<https://www.w3.org/TR/trace-context/>): `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(Arc<str>);

/// Text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent has the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case, with ids that are not all zero")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut parts = text.split('-');
        let version = parts.next() == Some("00");
        let trace = parts.next().is_some_and(|p| is_hex(p, 32) && p.bytes().any(|b| b != b'0'));
        let span = parts.next().is_some_and(|p| is_hex(p, 16) && p.bytes().any(|b| b != b'0'));
        let flags = parts.next().is_some_and(|p| is_hex(p, 2));
        if version && trace && span && flags && parts.next().is_none() { Ok(Self(Arc::from(text))) } else { Err(InvalidTraceParent) }
    }

    /// The header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 hex digits that name the trace.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;
    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        Self::parse(&text)
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> Self {
        trace.0.as_ref().to_owned()
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_w3c_form_is_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceParent::parse(good).unwrap().trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert!(TraceParent::parse(bad).is_err(), "{bad}");
        }
    }
}
