//! W3C trace context as text, for carrying a trace through a database or a message.
//!
//! ```
//! use pulse_telemetry::propagation;
//!
//! let root = propagation::new_root();
//! let child = propagation::child_of(&root);
//! assert_eq!(child[..35], root[..35], "the same trace");
//! assert_ne!(child[36..52], root[36..52], "another span");
//! ```
//!
//! Stricter than the SDK's propagator, which takes fields of the wrong length. Version 00 in, version 00 out; of a later version the four
//! fields that are known are taken, as <https://www.w3.org/TR/trace-context/> says.

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, TraceState};
use opentelemetry::{SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

pub(crate) const TRACEPARENT: &str = "traceparent";
/// `00-<32>-<16>-<2>`.
const LENGTH: usize = 55;

/// The `traceparent` of a request, when there is exactly one and it is well formed.
pub fn extract(headers: &HeaderMap) -> Option<String> {
    only(headers).and_then(parse).map(|(trace, span, flags)| text(trace, span, flags))
}

/// The same, as the context of a span elsewhere.
pub(crate) fn extract_context(headers: &HeaderMap) -> Option<SpanContext> {
    only(headers).and_then(context)
}

fn only(headers: &HeaderMap) -> Option<&str> {
    let mut found = headers.get_all(TRACEPARENT).iter();
    let only = found.next().filter(|_| found.next().is_none())?;
    only.to_str().ok().map(str::trim)
}

/// A new root's `traceparent`, sampled.
pub fn new_root() -> String {
    let ids = RandomIdGenerator::default();
    text(ids.new_trace_id(), ids.new_span_id(), TraceFlags::SAMPLED)
}

/// The same trace, a new span; a new root when `parent` is not well formed.
pub fn child_of(parent: &str) -> String {
    match parse(parent.trim()) {
        Some((trace, _, flags)) => text(trace, RandomIdGenerator::default().new_span_id(), flags),
        None => new_root(),
    }
}

/// What a `traceparent` says, as the context of a span elsewhere.
pub(crate) fn context(traceparent: &str) -> Option<SpanContext> {
    let (trace, span, flags) = parse(traceparent.trim())?;
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}

/// Written by hand, as is the reading below: both are in the path of every request, and formatting takes several times as long.
pub(crate) fn text(trace: TraceId, span: SpanId, flags: TraceFlags) -> String {
    let mut text = *b"00-................................-................-..";
    write_hex(&mut text[3..35], &trace.to_bytes());
    write_hex(&mut text[36..52], &span.to_bytes());
    write_hex(&mut text[53..], &[flags.to_u8()]);
    String::from_utf8_lossy(&text).into_owned()
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

fn parse(traceparent: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, rest) = traceparent.as_bytes().split_at_checked(LENGTH)?;
    let version = read_hex(&known[..2])?;
    let (trace, span, flags) = (read_hex(&known[3..35])?, read_hex(&known[36..52])?, read_hex(&known[53..])?);
    let extended = version > 0 && rest.starts_with(b"-");
    if version == 0xff || [known[2], known[35], known[52]] != *b"---" || !(rest.is_empty() || extended) {
        return None;
    }
    let (trace, span) = (TraceId::from(trace), SpanId::from(u64::try_from(span).ok()?));
    let flags = TraceFlags::new(u8::try_from(flags).ok()?) & TraceFlags::SAMPLED;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some((trace, span, flags))
}

/// At most 32 digits, in lower case.
fn read_hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (http::header::HeaderName::from_static(TRACEPARENT), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_well_formed_header_is_taken() {
        assert_eq!(extract(&headers(&[GOOD])).as_deref(), Some(GOOD));
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert_eq!(extract(&headers(&[later])).as_deref(), Some(GOOD), "a later version's known fields");
        let unknown_flags = GOOD.replace("-01", "-ff");
        assert_eq!(extract(&headers(&[&unknown_flags])).as_deref(), Some(GOOD), "unknown flags are cleared");
    }

    #[test]
    fn anything_else_is_not() {
        assert_eq!(extract(&HeaderMap::new()), None);
        assert_eq!(extract(&headers(&[GOOD, GOOD])), None, "two headers");
        for bad in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for _ in 0..100 {
            let root = new_root();
            let (trace, span, flags) = parse(&root).unwrap();
            assert_eq!(root, format!("00-{trace}-{span}-{:02x}", flags.to_u8()));
            assert_eq!(root, text(trace, span, flags));
        }
    }

    #[test]
    fn a_child_keeps_trace_and_sampling_and_a_bad_parent_makes_a_root() {
        let child = child_of(GOOD);
        assert_eq!((&child[..35], &child[52..]), (&GOOD[..35], "-01"));
        assert_ne!(child[36..52], GOOD[36..52]);
        assert!(child_of(&GOOD.replace("-01", "-00")).ends_with("-00"), "not sampled stays so");
        let root = child_of("rubbish");
        assert!(parse(&root).is_some() && root.ends_with("-01"), "{root}");
        assert_ne!(new_root(), new_root());
    }
}
