//! Looks variables up and says what is wrong with those that are not valid.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;

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

impl Env {
    #[allow(clippy::disallowed_methods, reason = "this is telemetry's one place that reads OTEL_*")]
    pub(crate) fn of_process() -> Self {
        Self::from_fn(|name| std::env::var(name).ok())
    }

    pub(crate) fn from_fn(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set, and its value.
    pub(super) fn first<N: AsRef<str>>(&self, names: &[N]) -> Option<(String, String)> {
        names.iter().find_map(|name| Some((name.as_ref().to_owned(), self.get(name.as_ref())?)))
    }

    /// The same, read from lower case, as names of choices may be written either way; None from `read` is not valid.
    pub(super) fn parsed<N: AsRef<str>, T>(
        &self,
        names: &[N],
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, VariableError> {
        let Some((name, value)) = self.first(names) else { return Ok(None) };
        read(&value.to_ascii_lowercase()).map(Some).ok_or_else(|| invalid(&name, value, expected))
    }

    pub(super) fn flag<N: AsRef<str>>(&self, names: &[N]) -> Result<bool, VariableError> {
        Ok(self.parsed(names, "true or false", |value| value.parse().ok())?.unwrap_or(false))
    }

    pub(super) fn millis<N: AsRef<str>>(&self, names: &[N], default: Duration) -> Result<Duration, VariableError> {
        let read = |value: &str| value.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis);
        Ok(self.parsed(names, "a whole number of milliseconds above 0", read)?.unwrap_or(default))
    }
}

pub(super) fn invalid(name: &str, value: impl Into<String>, expected: &'static str) -> VariableError {
    VariableError { name: name.to_owned(), value: value.into(), expected }
}

/// `key=value,key=value`, keys not empty, values percent-decoded.
pub(super) fn pairs(list: &str) -> Option<Vec<(String, String)>> {
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
