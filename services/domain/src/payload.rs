//! A message's body on its way from the dispatcher to the receiver.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// JSON that is written once and then passed on as it is: the store and the receiver get this text. Who needs its fields reads them with
/// [`Payload::to_value`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

impl Payload {
    /// Writes a value. One that cannot be JSON (a map with keys that are no texts) becomes `null`; messages are none.
    pub fn of(value: &impl Serialize) -> Self {
        Self(to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Its fields.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(self.as_str()).unwrap_or_default()
    }
}

impl From<Box<RawValue>> for Payload {
    fn from(json: Box<RawValue>) -> Self {
        Self(json)
    }
}

/// As values: stores may write the text anew.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || self.to_value() == other.to_value()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_passes_as_it_is() {
        let text = r#"{"b": 0.10, "a":"é"}"#;
        let payload: Payload = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&payload).unwrap(), text);
        assert_eq!(payload.to_value(), json!({"a": "é", "b": 0.1}));
        assert_eq!(payload, Payload::of(&json!({"a": "é", "b": 0.1})));
        assert_ne!(payload, Payload::of(&json!({"a": "é"})));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        serde_json::from_str::<Payload>("{\"a\":").unwrap_err();
    }
}
