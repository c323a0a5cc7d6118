//! The `OTEL_*` variables: the only place that reads the environment, and one typed struct that it becomes.
//!
//! The OTLP crates read some of these themselves; the kit reads all of them and hands the values on, so that tests can give their own and a
//! value that is not valid is an error instead of being passed over.

mod otlp;

pub(crate) use otlp::{OtlpSettings, Protocol, TlsFiles};

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;

const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// A variable whose value is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}, but it has to be {expected}")]
pub struct VariableError {
    /// The variable.
    pub name: String,
    /// Its value; of a secret only that it is one.
    pub value: String,
    /// What would be right.
    pub expected: &'static str,
}

/// Looks variables up; empty counts as unset, as the specification says.
#[derive(Clone)]
pub(crate) struct Env(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

/// All that is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// None: OTLP is off.
    pub(crate) otlp: Option<OtlpSettings>,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) service_name: Option<String>,
}

impl Env {
    #[allow(clippy::disallowed_methods, reason = "this is telemetry's one place that reads OTEL_*")]
    pub(crate) fn of_process() -> Self {
        Self::from_fn(|name| std::env::var(name).ok())
    }

    pub(crate) fn from_fn(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Reads everything.
    ///
    /// # Errors
    /// The first variable that is not valid. Of OTLP's own only when OTLP is on.
    pub(crate) fn settings(&self) -> Result<Settings, VariableError> {
        let otlp = if self.wants_otlp()? { Some(OtlpSettings::read(self)?) } else { None };
        Ok(Settings { otlp, resource: self.resource()?, service_name: self.get(SERVICE_NAME) })
    }

    /// The exporters named decide; where none is named, an endpoint does.
    fn wants_otlp(&self) -> Result<bool, VariableError> {
        if self.flag(&[SDK_DISABLED])? {
            return Ok(false);
        }
        let named = self.parsed(&[METRICS_EXPORTER], "a list of otlp, prometheus (always on) and none", |list| {
            let exporters: Vec<_> = list.split(',').map(str::trim).collect();
            let known = exporters.iter().all(|exporter| ["otlp", "prometheus", "none"].contains(exporter));
            known.then(|| exporters.contains(&"otlp") && !exporters.contains(&"none"))
        })?;
        Ok(named.unwrap_or_else(|| self.first(&otlp::ENDPOINTS).is_some()))
    }

    fn resource(&self) -> Result<Vec<(String, String)>, VariableError> {
        let Some(list) = self.get(RESOURCE_ATTRIBUTES) else { return Ok(Vec::new()) };
        pairs(&list).ok_or_else(|| invalid(RESOURCE_ATTRIBUTES, list, "key=value pairs, comma between them, values percent-encoded"))
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set, and its value.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// The same, read from lower case, as names of choices may be written either way; None from `read` is not valid.
    fn parsed<T>(
        &self,
        names: &[&'static str],
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, VariableError> {
        let Some((name, value)) = self.first(names) else { return Ok(None) };
        read(&value.to_ascii_lowercase()).map(Some).ok_or_else(|| invalid(name, value, expected))
    }

    fn flag(&self, names: &[&'static str]) -> Result<bool, VariableError> {
        Ok(self.parsed(names, "true or false", |value| value.parse().ok())?.unwrap_or(false))
    }

    fn millis(&self, names: &[&'static str], default: Duration) -> Result<Duration, VariableError> {
        let read = |value: &str| value.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis);
        Ok(self.parsed(names, "a whole number of milliseconds above 0", read)?.unwrap_or(default))
    }
}

fn invalid(name: &str, value: impl Into<String>, expected: &'static str) -> VariableError {
    VariableError { name: name.to_owned(), value: value.into(), expected }
}

/// `key=value,key=value`, keys not empty, values percent-decoded.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    list.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
            Some((key.trim().to_owned(), value)).filter(|(key, _)| !key.is_empty())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(variables: &[(&'static str, &'static str)]) -> Result<Settings, VariableError> {
        let variables = variables.to_vec();
        Env::from_fn(move |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())).settings()
    }

    #[test]
    fn otlp_is_on_when_it_is_asked_for() {
        for (variables, on) in [
            (&[][..], false),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")], true),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/m")], true),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false),
            (&[("OTEL_METRICS_EXPORTER", "otlp")], true),
            (&[("OTEL_METRICS_EXPORTER", "prometheus, otlp")], true),
            (&[("OTEL_METRICS_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")], false),
            (&[("OTEL_METRICS_EXPORTER", "prometheus"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")], false),
            (&[("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "otlp")], false),
            (&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "not read")], false),
            (&[("OTEL_SDK_DISABLED", "false"), ("OTEL_METRICS_EXPORTER", "otlp")], true),
        ] {
            assert_eq!(read(variables).unwrap().otlp.is_some(), on, "{variables:?}");
        }
    }

    #[test]
    fn resource_attributes_are_decoded() {
        let settings =
            read(&[("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test, team=a%2Cb%20c,"), ("OTEL_SERVICE_NAME", "x")]);
        let settings = settings.unwrap();
        let wanted = [("deployment.environment.name", "test"), ("team", "a,b c")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(settings.resource, wanted);
        assert_eq!(settings.service_name.as_deref(), Some("x"));
    }

    #[test]
    fn what_is_not_valid_is_named_with_what_would_be_right() {
        for (variable, value, expected) in [
            ("OTEL_SDK_DISABLED", "yes", "true or false"),
            ("OTEL_METRICS_EXPORTER", "console", "otlp, prometheus"),
            ("OTEL_RESOURCE_ATTRIBUTES", "novalue", "key=value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=x", "key=value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=%ff", "percent-encoded"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(value) && error.contains(expected), "{error}");
        }
    }
}
