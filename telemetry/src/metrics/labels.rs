//! From a caller's labels to the attributes of one series, checked against the definition.

use std::sync::Arc;

use opentelemetry::{Key, KeyValue, StringValue, Value};

use crate::metrics::definition::{Definition, OPEN_LABEL, SERVICE};

/// The one label of the conventions that we record and that is a number.
const STATUS_CODE: &str = "http.response.status_code";

/// Label names and values of one series, in any order, all that the definition lists. `service` is never among them: the kit adds it.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// The labels of a definition, ready to be filled.
#[derive(Debug)]
pub(crate) struct LabelShape {
    definition: &'static Definition,
    service: &'static str,
    /// Sorted, as the SDK keeps them, so that its first look-up hits.
    keys: Vec<Slot>,
    /// How many of them the caller gives.
    given: usize,
}

#[derive(Debug)]
enum Slot {
    Service,
    /// The label's name, and its place in the definition without `service`.
    Given(&'static str, usize),
}

impl Slot {
    fn name(&self) -> &'static str {
        match self {
            Self::Service => SERVICE,
            Self::Given(name, _) => name,
        }
    }
}

impl LabelShape {
    pub(crate) fn new(definition: &'static Definition, service: &'static str) -> Self {
        let mut keys: Vec<Slot> = definition.caller_labels().enumerate().map(|(place, name)| Slot::Given(name, place)).collect();
        let given = keys.len();
        if given < definition.labels.len() {
            keys.push(Slot::Service);
        }
        keys.sort_unstable_by_key(Slot::name);
        Self { definition, service, keys, given }
    }

    pub(crate) fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// True when there is exactly one series: nothing for a caller to give.
    pub(crate) fn is_single(&self) -> bool {
        self.given == 0
    }

    /// The attributes for labels given by name.
    pub(crate) fn named(&self, labels: Labels<'_>) -> Result<Vec<KeyValue>, String> {
        let attributes = self.fill(|name, _| labels.iter().find(|(given, _)| *given == name).map(|(_, value)| *value));
        match attributes {
            Some(attributes) if labels.len() == self.given => Ok(attributes),
            _ => Err(self.refusal(&labels.iter().map(|(name, _)| *name).collect::<Vec<_>>())),
        }
    }

    /// The attributes for values in the definition's order.
    pub(crate) fn ordered(&self, values: &[String]) -> Result<Vec<KeyValue>, String> {
        match self.fill(|_, place| values.get(place).map(String::as_str)) {
            Some(attributes) if values.len() == self.given => Ok(attributes),
            _ => Err(format!("{} values were given for the {} labels of {}", values.len(), self.given, self.definition.name)),
        }
    }

    /// The value that was given for the open label; none if the definition has no such label.
    pub(crate) fn open_value<'a>(&self, labels: Labels<'a>) -> Option<&'a str> {
        labels.iter().find(|(name, _)| self.definition.is_open() && *name == OPEN_LABEL).map(|(_, value)| *value)
    }

    /// Where the open label stands among those that the caller gives.
    pub(crate) fn open_place(&self) -> Option<usize> {
        self.definition.caller_labels().position(|label| label == OPEN_LABEL)
    }

    /// The same attributes, but for the open label's value.
    pub(crate) fn with_open_value(&self, attributes: &[KeyValue], value: &str) -> Vec<KeyValue> {
        let replaced = |attribute: &KeyValue| {
            if self.definition.is_open() && attribute.key.as_str() == OPEN_LABEL { text(OPEN_LABEL, value) } else { attribute.clone() }
        };
        attributes.iter().map(replaced).collect()
    }

    fn fill<'a>(&self, value_of: impl Fn(&'static str, usize) -> Option<&'a str>) -> Option<Vec<KeyValue>> {
        let mut attributes = Vec::with_capacity(self.keys.len());
        for slot in &self.keys {
            match slot {
                Slot::Service => attributes.push(KeyValue::new(Key::from_static_str(SERVICE), self.service)),
                Slot::Given(name, place) => match value_of(name, *place)? {
                    "" if self.definition.convention => {}
                    value if self.definition.convention && *name == STATUS_CODE => attributes.push(number(name, value)),
                    value => attributes.push(text(name, value)),
                },
            }
        }
        Some(attributes)
    }

    fn refusal(&self, given: &[&str]) -> String {
        let wanted: Vec<_> = self.definition.caller_labels().collect();
        format!("{} takes the labels {wanted:?} but was given {given:?}; nothing is recorded", self.definition.name)
    }
}

/// As text if it is none.
fn number(name: &'static str, value: &str) -> KeyValue {
    value.parse().map_or_else(|_| text(name, value), |number: i64| KeyValue::new(Key::from_static_str(name), number))
}

/// Shared text, as every collection clones it for every reader.
fn text(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(Key::from_static_str(name), Value::String(StringValue::from(Arc::<str>::from(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    static JOBS: Definition = Definition::counter("pulse_jobs_total", "{job}", "Jobs.", &["tenant_id", "service", "outcome"]);
    static ALONE: Definition = Definition::counter("pulse_alone_total", "{job}", "Jobs.", &[]);

    fn pairs(attributes: &[KeyValue]) -> Vec<(String, String)> {
        attributes.iter().map(|kv| (kv.key.to_string(), kv.value.to_string())).collect()
    }

    #[test]
    fn service_is_filled_in_and_the_rest_sorted() {
        let shape = LabelShape::new(&JOBS, "worker");
        let wanted = [("outcome", "dead"), ("service", "worker"), ("tenant_id", "acme")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(pairs(&shape.named(&[("tenant_id", "acme"), ("outcome", "dead")]).unwrap()), wanted);
        assert_eq!(pairs(&shape.named(&[("outcome", "dead"), ("tenant_id", "acme")]).unwrap()), wanted);
        assert_eq!(pairs(&shape.ordered(&["acme".to_owned(), "dead".to_owned()]).unwrap()), wanted);
        assert!(!shape.is_single());
        assert_eq!(shape.open_value(&[("outcome", "dead"), ("tenant_id", "acme")]), Some("acme"));
        assert_eq!(LabelShape::new(&ALONE, "worker").open_value(&[]), None);
        let others = shape.with_open_value(&shape.named(&[("tenant_id", "acme"), ("outcome", "dead")]).unwrap(), "_other");
        assert_eq!(pairs(&others)[2], ("tenant_id".to_owned(), "_other".to_owned()));
        assert_eq!(pairs(&others)[..2], wanted[..2]);
        assert!(LabelShape::new(&ALONE, "worker").is_single());
    }

    #[test]
    fn wrong_labels_are_named() {
        let shape = LabelShape::new(&JOBS, "worker");
        for labels in [
            &[][..],
            &[("tenant_id", "acme")],
            &[("tenant_id", "acme"), ("result", "dead")],
            &[("tenant_id", "acme"), ("tenant_id", "acme")],
            &[("tenant_id", "acme"), ("outcome", "dead"), ("service", "other")],
        ] {
            let refusal = shape.named(labels).expect_err("refused");
            assert!(refusal.contains("pulse_jobs_total") && refusal.contains(r#"["tenant_id", "outcome"]"#), "{refusal}");
        }
        assert!(shape.ordered(&["acme".to_owned()]).is_err());
        assert!(shape.ordered(&["a".to_owned(), "b".to_owned(), "c".to_owned()]).is_err());
    }
}
