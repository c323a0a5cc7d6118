//! What devices write: JSON read without copying, and without ever failing on anything but itself.
//!
//! Fields that are not known are passed over, so that a device may say more than Pulse wants to hear. Nesting costs nothing: nothing here
//! recurses.

use std::borrow::Cow;
use std::fmt;

use pulse_domain::Timestamp;
use pulse_domain::reading::{InvalidMetrics, MetricValue, Metrics, RejectReason};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Text that is borrowed from the body where it holds no escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// What a message says besides who sent it.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a message as a JSON object")]
pub(crate) struct Reading<'a> {
    #[serde(borrow, default)]
    pub(crate) ts: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) site_id: Text<'a>,
    #[serde(default)]
    pub(crate) seq: Option<i64>,
    #[serde(default)]
    pub(crate) metrics: Option<Entries>,
    #[serde(default, rename = "version")]
    _version: IgnoredAny,
}

/// A message of a batch, up to who sent it: the rest is read once that is known to be right.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a message as a JSON object")]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) tenant_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) device_id: Text<'a>,
    pub(crate) msg_type: pulse_domain::reading::ReadingKind,
    #[serde(borrow, default)]
    pub(crate) provision_token: Option<Text<'a>>,
}

/// The batch itself: each message is read by itself.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a batch as a JSON object with a list of messages")]
pub(crate) struct Batch<'a> {
    #[serde(borrow)]
    pub(crate) messages: Vec<&'a RawValue>,
}

/// Metrics as they were written, not yet checked.
#[derive(Debug)]
pub(crate) struct Entries(Vec<(Box<str>, MetricValue)>);

impl Entries {
    /// Checks names, values and their number.
    pub(crate) fn check(self) -> Result<Metrics, InvalidMetrics> {
        Metrics::new(self.0)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor).map(Self)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<(Box<str>, MetricValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metrics as an object of names with numbers or true and false")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, value)) = map.next_entry::<Box<str>, Value>()? {
            entries.push((name, value.0));
        }
        Ok(entries)
    }
}

struct Value(MetricValue);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = MetricValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a metric's value as a number or true or false")
    }

    fn visit_bool<E>(self, value: bool) -> Result<MetricValue, E> {
        Ok(MetricValue::Bool(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<MetricValue, E> {
        Ok(MetricValue::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<MetricValue, E> {
        Ok(MetricValue::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<MetricValue, E> {
        Ok(MetricValue::Number(value as f64))
    }
}

/// Reads a JSON object; the error says what is wrong, and where.
pub(crate) fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, InvalidMetrics> {
    // A list of the right values in the right order would pass for an object.
    if bytes.trim_ascii_start().starts_with(b"[") {
        let detail = "the body is a list: it must be a JSON object".to_owned();
        return Err(InvalidMetrics { reason: RejectReason::Invalid, detail });
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = match error.classify() {
            serde_json::error::Category::Data => format!("the message does not fit: {error}"),
            _ if bytes.is_empty() => "the body is empty: it must be a JSON object".to_owned(),
            _ => format!("the body is not valid JSON: {error} (NaN and Infinity are no JSON, and numbers must fit 64-bit floats)"),
        };
        InvalidMetrics { reason: RejectReason::Invalid, detail }
    })
}

/// The device's own time: RFC 3339.
pub(crate) fn time(text: &str) -> Result<Timestamp, InvalidMetrics> {
    chrono::DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|error| InvalidMetrics {
        reason: RejectReason::Invalid,
        detail: format!("ts must be an RFC 3339 time such as 2026-01-31T12:00:00Z: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(body: &str) -> Result<Metrics, InvalidMetrics> {
        let reading: Reading<'_> = json(body.as_bytes())?;
        reading.ts.map_or(Ok(()), |ts| time(&ts.0).map(drop))?;
        reading.metrics.map_or_else(|| Ok(Metrics::default()), Entries::check)
    }

    #[test]
    fn a_whole_message_is_read() {
        let body =
            r#"{"version":1,"ts":"2026-01-31T12:00:00.5+02:00","site_id":"s","seq":-3,"metrics":{"t":21.5,"n":7,"on":true},"more":[[{}]]}"#;
        let metrics = reading(body).unwrap();
        assert_eq!(metrics.get("n"), Some(MetricValue::Number(7.0)));
        assert_eq!(metrics.get("on"), Some(MetricValue::Bool(true)));
        let parsed: Reading<'_> = json(body.as_bytes()).unwrap();
        assert!(matches!(parsed.site_id.0, Cow::Borrowed("s")), "text is borrowed");
        assert!(matches!(parsed.ts.unwrap().0, Cow::Borrowed(_)), "optional text is borrowed");
        let escaped: Reading<'_> = json(br#"{"site_id":"\u0073"}"#).unwrap();
        assert_eq!(escaped.site_id.0, "s");
    }

    #[test]
    fn what_is_wrong_is_said() {
        use RejectReason::{Invalid, MetricKeyInvalid, MetricKeyTooLong, TooManyMetrics};
        let deep = format!(r#"{{"site_id":"s","metrics":{{"a":{}1{}}}}}"#, "[".repeat(50_000), "]".repeat(50_000));
        let many = format!(r#"{{"site_id":"s","metrics":{{{}}}}}"#, (0..65).map(|i| format!("\"m{i}\":1")).collect::<Vec<_>>().join(","));
        let long = format!(r#"{{"site_id":"s","metrics":{{"{}":1}}}}"#, "x".repeat(129));
        let table = [
            ("", Invalid, "the body is empty"),
            (r#"[null, "s", 1, {}, 1]"#, Invalid, "must be a JSON object"),
            ("nul", Invalid, "not valid JSON"),
            ("null", Invalid, "expected a message as a JSON object"),
            (r#"{"metrics":{}}"#, Invalid, "missing field `site_id`"),
            (r#"{"site_id":7}"#, Invalid, "invalid type: integer `7`"),
            (r#"{"site_id":"s","seq":1.5}"#, Invalid, "invalid type: floating point"),
            (r#"{"site_id":"s","seq":99999999999999999999}"#, Invalid, "line 1 column"),
            (r#"{"site_id":"s","ts":"yesterday"}"#, Invalid, "RFC 3339"),
            (r#"{"site_id":"s","metrics":[]}"#, Invalid, "metrics as an object of names"),
            (r#"{"site_id":"s","metrics":{"t":"hot"}}"#, Invalid, "a metric's value as a number or true or false"),
            (r#"{"site_id":"s","metrics":{"t":null}}"#, Invalid, "invalid type: null"),
            (r#"{"site_id":"s","metrics":{"t":NaN}}"#, Invalid, "NaN and Infinity are no JSON"),
            (r#"{"site_id":"s","metrics":{"t":1e999}}"#, Invalid, "number out of range at line 1"),
            (r#"{"site_id":"s","metrics":{"t":1}"#, Invalid, "EOF while parsing"),
            (r#"{"site_id":"s","metrics":{"":1}}"#, MetricKeyInvalid, "must not be empty"),
            (r#"{"site_id":"s","metrics":{"t":1,"t":2}}"#, MetricKeyInvalid, "stands twice"),
            (&deep, Invalid, "invalid type: sequence"),
            (&many, TooManyMetrics, "at most 64"),
            (&long, MetricKeyTooLong, "at most 128"),
        ];
        for (body, reason, says) in table {
            let error = reading(body).unwrap_err();
            assert_eq!(error.reason, reason, "{error} for {body:.80}");
            assert!(error.detail.contains(says), "{error} for {body:.80}");
        }
    }

    #[test]
    fn unknown_fields_may_be_as_deep_as_they_like() {
        let body = format!(r#"{{"site_id":"s","more":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(reading(&body).is_ok());
    }

    #[test]
    fn messages_of_a_batch_are_borrowed() {
        let body = br#"{"messages":[{"tenant_id":"t","device_id":"d","msg_type":"heartbeat","site_id":"s"},"no message"]}"#;
        let batch: Batch<'_> = json(body).unwrap();
        let envelope: Envelope<'_> = json(batch.messages[0].get().as_bytes()).unwrap();
        assert!(matches!(envelope.tenant_id.0, Cow::Borrowed("t")));
        assert!(envelope.provision_token.is_none());
        assert!(json::<Envelope<'_>>(batch.messages[1].get().as_bytes()).is_err());
    }
}
