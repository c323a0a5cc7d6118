//! Readings: one message of a device, checked.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{DeviceKey, ReadingId, SiteId};
use crate::trace::TraceParent;

/// The most metrics in one reading.
pub const METRICS_MAX: usize = 64;
/// The longest name of a metric, in characters.
pub const METRIC_NAME_MAX_CHARS: usize = 128;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadingKind {
    /// Carries metrics.
    Telemetry,
    /// Says only that the device lives; metrics it carries count all the same.
    Heartbeat,
}

impl ReadingKind {
    /// The name in paths, topics and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telemetry => "telemetry",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// A metric's value: a finite number, or a truth value, which rules see as 1 and 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricValue {
    Bool(bool),
    Number(f64),
}

impl MetricValue {
    /// As rules see it.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Bool(truth) => f64::from(u8::from(truth)),
        }
    }
}

/// The metrics of one reading: names checked and distinct, values finite, at most [`METRICS_MAX`]. A JSON object in text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics(Vec<(Box<str>, MetricValue)>);

/// Why a reading or its sender was refused: the closed set of reasons of the batch door and of the label `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RejectReason {
    /// Not a message at all: bad JSON, a missing or wrong field.
    Invalid,
    RateLimited,
    TokenMissing,
    TokenInvalid,
    DeviceRevoked,
    UnregisteredDevice,
    PayloadTooLarge,
    SiteMismatch,
    TooManyMetrics,
    MetricKeyTooLong,
    MetricKeyInvalid,
    /// Pulse cannot take it now; the device should send it again.
    Unavailable,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::RateLimited,
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::DeviceRevoked,
        Self::UnregisteredDevice,
        Self::PayloadTooLarge,
        Self::SiteMismatch,
        Self::TooManyMetrics,
        Self::MetricKeyTooLong,
        Self::MetricKeyInvalid,
        Self::Unavailable,
    ];

    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::RateLimited => "RATE_LIMITED",
            Self::TokenMissing => "TOKEN_MISSING",
            Self::TokenInvalid => "TOKEN_INVALID",
            Self::DeviceRevoked => "DEVICE_REVOKED",
            Self::UnregisteredDevice => "UNREGISTERED_DEVICE",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::SiteMismatch => "SITE_MISMATCH",
            Self::TooManyMetrics => "TOO_MANY_METRICS",
            Self::MetricKeyTooLong => "METRIC_KEY_TOO_LONG",
            Self::MetricKeyInvalid => "METRIC_KEY_INVALID",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// Metrics that cannot be taken: the reason, and a text that says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InvalidMetrics {
    pub reason: RejectReason,
    pub detail: String,
}

/// Checks a metric's name: 1 to 128 characters, no control character, no blank at either end. The error names what is wrong.
pub fn check_metric_name(name: &str) -> Result<(), InvalidMetrics> {
    if name.chars().count() > METRIC_NAME_MAX_CHARS {
        let detail = format!("a metric's name has at most {METRIC_NAME_MAX_CHARS} characters, this one has {}", name.chars().count());
        return Err(InvalidMetrics { reason: RejectReason::MetricKeyTooLong, detail });
    }
    if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        let detail = "a metric's name must not be empty, start or end with a blank, or hold control characters".to_owned();
        return Err(InvalidMetrics { reason: RejectReason::MetricKeyInvalid, detail });
    }
    Ok(())
}

impl Metrics {
    /// Checks names, values and their number. A name twice is refused, since it is not said which value counts.
    pub fn new(entries: Vec<(Box<str>, MetricValue)>) -> Result<Self, InvalidMetrics> {
        if entries.len() > METRICS_MAX {
            let detail = format!("a reading has at most {METRICS_MAX} metrics, this one has {}", entries.len());
            return Err(InvalidMetrics { reason: RejectReason::TooManyMetrics, detail });
        }
        for (index, (name, value)) in entries.iter().enumerate() {
            check_metric_name(name)?;
            if !value.as_f64().is_finite() {
                let detail = format!("metric {name:?} must be a finite number");
                return Err(InvalidMetrics { reason: RejectReason::Invalid, detail });
            }
            if entries[..index].iter().any(|(earlier, _)| earlier == name) {
                let detail = format!("metric {name:?} stands twice in one reading");
                return Err(InvalidMetrics { reason: RejectReason::MetricKeyInvalid, detail });
            }
        }
        Ok(Self(entries))
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<MetricValue> {
        self.0.iter().find(|(own, _)| &**own == name).map(|(_, value)| *value)
    }

    /// In the order of the message.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, MetricValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Metrics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> serde::de::Visitor<'de> for Entries {
            type Value = Vec<(Box<str>, MetricValue)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of metric names with numbers or true and false")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        let entries = deserializer.deserialize_map(Entries)?;
        Self::new(entries).map_err(serde::de::Error::custom)
    }
}

/// A reading on its way into the store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReading {
    pub key: DeviceKey,
    pub kind: ReadingKind,
    /// The device's own time, or the receipt where it gave none.
    pub ts: Timestamp,
    /// When Pulse took it in: what heartbeats and latency are measured from.
    pub received_at: Timestamp,
    pub site_id: SiteId,
    /// The device's own counter, handed back to it.
    pub seq: Option<i64>,
    pub metrics: Metrics,
    /// The trace that brought it.
    pub trace: Option<TraceParent>,
}

/// A reading as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    pub reading_id: ReadingId,
    pub kind: ReadingKind,
    pub ts: Timestamp,
    pub received_at: Timestamp,
    pub site_id: SiteId,
    pub seq: Option<i64>,
    pub metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_checked() {
        let parse = |text: &str| serde_json::from_str::<Metrics>(text).map_err(|e| e.to_string());
        assert_eq!(parse(r#"{"temp": 21.5, "door": true, "n": 3}"#).unwrap().get("door"), Some(MetricValue::Bool(true)));
        for (bad, says) in [
            (r#"{"t": "hot"}"#, "data did not match"),
            (r#"{"t": null}"#, "data did not match"),
            (r#"{"t": 1e999}"#, "number out of range"),
            (r#"{"t": 1, "t": 2}"#, "stands twice"),
            (r#"{"": 1}"#, "must not be empty"),
            (r#"{"a\u0000": 1}"#, "control characters"),
            ("[1]", "an object of metric names"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
        let many: serde_json::Value = (0..65).map(|i| (format!("m{i}"), i.into())).collect::<serde_json::Map<_, _>>().into();
        assert!(parse(&many.to_string()).unwrap_err().contains("at most 64 metrics"));
        let long = serde_json::json!({ "x".repeat(129): 1 });
        assert!(parse(&long.to_string()).unwrap_err().contains("at most 128 characters"));
    }
}
