//! What a metric is: its one definition, and what makes a definition sound.

use std::borrow::Cow;

use super::open::reserved::{RESERVED, SETS_PER_VALUE_MAX};

/// The label that the kit fills in with the service's name.
pub(crate) const SERVICE: &str = "service";
/// Series a metric may have, when its labels are closed sets; past it labels are lost to `otel_metric_overflow="true"`.
const SERIES_MAX: usize = 2_000;
/// The one label whose values are not a closed set: those that have series of their own are held within a budget.
pub(crate) const OPEN_LABEL: &str = "tenant_id";
/// What the SDK takes.
const NAME_BYTES_MAX: usize = 255;
const UNIT_BYTES_MAX: usize = 63;

/// One metric's definition. Make it a `static` or `const`, once, and hand it to every handle.
///
/// ```
/// use pulse_telemetry::Definition;
///
/// static JOBS_FAILED: Definition =
///     Definition::counter("pulse_delivery_jobs_failed_total", "{job}", "Jobs that were given up.", &["tenant_id"]);
/// assert_eq!(JOBS_FAILED.check(), Ok(()));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The name on `/metrics` and over OTLP alike: `[a-z][a-z0-9_]*`; a counter's ends in `_total`.
    pub name: &'static str,
    /// What kind of instrument it is.
    pub kind: Kind,
    /// UCUM, for example `s` or `{job}`.
    pub unit: &'static str,
    /// What is counted or measured, in a sentence.
    pub help: &'static str,
    /// Label names. `service`, where it stands, is filled in by the kit.
    pub labels: &'static [&'static str],
    /// A histogram's upper bounds, in `unit`.
    pub bounds: &'static [f64],
    /// Named by OpenTelemetry's semantic conventions and not by us.
    pub convention: bool,
    /// See [`Definition::shared`].
    pub shared: bool,
}

/// The kinds of instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// The present value.
    Gauge,
    /// The present value of what adds up over several, a gauge on `/metrics`. Only the conventions tell it from a gauge.
    UpDownCounter,
    /// A distribution over bounds.
    Histogram,
}

/// Why a definition is not sound. The instrument of such a definition is refused: it records nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the definition of {name} is refused: {problem}")]
pub struct DefinitionError {
    name: &'static str,
    problem: Cow<'static, str>,
}

impl Definition {
    /// A counter; the name must end in `_total`.
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, kind: Kind::Counter, unit, help, labels, bounds: &[], convention: false, shared: false }
    }

    /// A gauge.
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, kind: Kind::Gauge, unit, help, labels, bounds: &[], convention: false, shared: false }
    }

    /// A histogram with these upper bounds, rising; the bucket to infinity is added by the exporters.
    pub const fn histogram(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        bounds: &'static [f64],
    ) -> Self {
        Self { name, kind: Kind::Histogram, unit, help, labels, bounds, convention: false, shared: false }
    }

    /// A metric of the semantic conventions: name and labels are theirs, with dots between the words, which `/metrics` shows as underscores.
    /// A label that is given empty is left out, and `http.response.status_code` is a number over OTLP.
    pub const fn convention(
        kind: Kind,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        bounds: &'static [f64],
    ) -> Self {
        Self { name, kind, unit, help, labels, bounds, convention: true, shared: false }
    }

    /// A gauge of what all replicas of a service share, a queue in the database for example: each reports the same number, so over replicas
    /// it is the greatest and never the sum.
    pub const fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// The labels that a caller gives, in order: all but `service`.
    pub fn caller_labels(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.labels.iter().copied().filter(|label| *label != SERVICE)
    }

    /// Is the definition one that Prometheus, `promtool check metrics` and OTLP all take as it stands?
    ///
    /// # Errors
    /// Names the rule that is broken and what would be right.
    pub fn check(&self) -> Result<(), DefinitionError> {
        self.check_name()
            .and_then(|()| self.check_unit_and_help())
            .and_then(|()| self.check_labels())
            .and_then(|()| self.check_bounds())
            .map_err(|problem| DefinitionError { name: self.name, problem })
    }

    /// Does it have the label whose values are not a closed set, `tenant_id`?
    pub fn is_open(&self) -> bool {
        self.labels.contains(&OPEN_LABEL)
    }

    /// The most series this metric may have before the SDK takes its labels; with an open label that is more than its budget lets through.
    pub(crate) fn series_max(&self, values_max: usize) -> usize {
        match self.caller_labels().count() {
            _ if !self.is_open() => SERIES_MAX,
            1 => values_max + RESERVED,
            _ => (values_max + RESERVED) * SETS_PER_VALUE_MAX,
        }
    }

    fn check_name(&self) -> Result<(), Cow<'static, str>> {
        if self.convention {
            return if is_dotted(self.name) { Ok(()) } else { Err("a convention's name is words with dots between them".into()) };
        }
        if self.kind == Kind::UpDownCounter {
            return Err("only the conventions have up-down counters; define a gauge".into());
        }
        if !is_name(self.name) || !self.name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err("a name is [a-z][a-z0-9_]*".into());
        }
        if self.name.len() > NAME_BYTES_MAX {
            return Err(format!("a name has at most {NAME_BYTES_MAX} characters").into());
        }
        if self.name.ends_with("_total") != (self.kind == Kind::Counter) {
            return Err("a counter's name ends in _total and no other's does".into());
        }
        if ["_bucket", "_count", "_sum"].iter().any(|suffix| self.name.ends_with(suffix)) {
            return Err("_bucket, _count and _sum at the end of a name are a histogram's parts".into());
        }
        if self.name.ends_with("_info") && self.kind != Kind::Gauge {
            return Err("only a gauge's name ends in _info".into());
        }
        Ok(())
    }

    fn check_unit_and_help(&self) -> Result<(), Cow<'static, str>> {
        if self.help.trim().is_empty() {
            return Err("help is empty; say in a sentence what is measured".into());
        }
        if self.unit.is_empty() || self.unit.len() > UNIT_BYTES_MAX || !self.unit.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("the unit {:?} is not UCUM; for example s, By, 1 or {{job}}", self.unit).into());
        }
        for (unit, word) in [("s", "seconds"), ("By", "bytes")] {
            if self.unit == unit && !self.convention && !self.name.contains(word) {
                return Err(format!("the unit is {unit}, so the name has to hold the word {word}").into());
            }
        }
        Ok(())
    }

    fn check_labels(&self) -> Result<(), Cow<'static, str>> {
        for (i, label) in self.labels.iter().enumerate() {
            let is_sound = if self.convention { is_dotted(label) } else { is_name(label) && !label.starts_with("__") };
            if !is_sound {
                return Err(format!("the label {label:?} is not a name: [a-z_][a-z0-9_]*, not starting with __").into());
            }
            if ["le", "quantile", "job", "instance"].contains(label) {
                return Err(format!("the label {label:?} is Prometheus's own").into());
            }
            if self.labels[..i].contains(label) {
                return Err(format!("the label {label:?} stands twice").into());
            }
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), Cow<'static, str>> {
        match self.kind {
            Kind::Histogram if self.is_open() => Err(format!("a histogram cannot have the open label {OPEN_LABEL}").into()),
            Kind::Histogram if self.bounds.is_empty() => Err("a histogram needs its upper bounds".into()),
            Kind::Histogram if !self.bounds.iter().all(|bound| bound.is_finite()) => Err("a bound is a finite number".into()),
            Kind::Histogram if !self.bounds.is_sorted_by(|a, b| a < b) => Err("bounds rise, each above the one before".into()),
            Kind::Counter | Kind::Gauge | Kind::UpDownCounter if !self.bounds.is_empty() => Err("only a histogram has bounds".into()),
            Kind::Counter | Kind::Gauge | Kind::UpDownCounter | Kind::Histogram => Ok(()),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_dotted(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX && name.contains('.') && name.split('.').all(|word| is_name(word) && !word.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::{Definition, Kind};

    fn refusal(definition: &Definition) -> String {
        definition.check().expect_err("refused").to_string()
    }

    #[test]
    fn sound_definitions_pass() {
        for definition in [
            Definition::counter("pulse_x_total", "{job}", "Jobs.", &["service", "tenant_id"]),
            Definition::gauge("pulse_queue_depth", "{item}", "Items.", &[]),
            Definition::gauge("pulse_build_info", "1", "Build.", &["version"]),
            Definition::histogram("pulse_wait_seconds", "s", "Waiting.", &["service"], &[0.1, 1.0]),
            Definition::convention(Kind::UpDownCounter, "db.client.connection.count", "{x}", "Connections.", &["db.client.state"], &[]),
            Definition::convention(Kind::Histogram, "http.server.request.duration", "s", "Requests.", &["http.route"], &[1.0]),
        ] {
            assert_eq!(definition.check(), Ok(()), "{definition:?}");
        }
    }

    #[test]
    fn unsound_definitions_say_why() {
        for (definition, why) in [
            (Definition::gauge("pulse.x", "1", "X.", &[]), "[a-z][a-z0-9_]*"),
            (Definition::gauge("pulse_x", "1", "X.", &["a.b"]), "\"a.b\""),
            (Definition::convention(Kind::Gauge, "pulse_x", "1", "X.", &[], &[]), "dots"),
            (Definition::convention(Kind::Gauge, "a..b", "1", "X.", &[], &[]), "dots"),
            (Definition::convention(Kind::Gauge, "a.b", "1", "X.", &["route"], &[]), "\"route\""),
            (Definition { kind: Kind::UpDownCounter, ..Definition::gauge("pulse_x", "1", "X.", &[]) }, "define a gauge"),
            (Definition::gauge("Pulse", "1", "X.", &[]), "[a-z][a-z0-9_]*"),
            (Definition::gauge("_pulse", "1", "X.", &[]), "[a-z][a-z0-9_]*"),
            (Definition::gauge("", "1", "X.", &[]), "[a-z][a-z0-9_]*"),
            (Definition::counter("pulse_x", "1", "X.", &[]), "_total"),
            (Definition::gauge("pulse_x_total", "1", "X.", &[]), "_total"),
            (Definition::histogram("pulse_x_count", "1", "X.", &[], &[1.0]), "_count"),
            (Definition::gauge("pulse_x_sum", "1", "X.", &[]), "_sum"),
            (Definition::histogram("pulse_x_info", "1", "X.", &[], &[1.0]), "_info"),
            (Definition::gauge("pulse_x", "1", " ", &[]), "help is empty"),
            (Definition::gauge("pulse_x", "", "X.", &[]), "UCUM"),
            (Definition::gauge("pulse_x", "µs", "X.", &[]), "UCUM"),
            (Definition::gauge("pulse_x", "s", "X.", &[]), "word seconds"),
            (Definition::gauge("pulse_x", "By", "X.", &[]), "word bytes"),
            (Definition::gauge("pulse_x", "1", "X.", &["a b"]), "\"a b\""),
            (Definition::gauge("pulse_x", "1", "X.", &["le"]), "Prometheus's own"),
            (Definition::gauge("pulse_x", "1", "X.", &["a", "a"]), "stands twice"),
            (Definition::histogram("pulse_x", "1", "X.", &["tenant_id"], &[1.0]), "open label tenant_id"),
            (Definition::histogram("pulse_x", "1", "X.", &[], &[]), "needs its upper bounds"),
            (Definition::histogram("pulse_x", "1", "X.", &[], &[1.0, 1.0]), "rise"),
            (Definition::histogram("pulse_x", "1", "X.", &[], &[f64::INFINITY]), "finite"),
        ] {
            let refusal = refusal(&definition);
            assert!(refusal.contains(why), "{refusal} does not say {why}");
        }
    }

    /// So that the SDK never takes the labels of a metric that is within its budget.
    #[test]
    fn an_open_label_has_room_for_its_budget() {
        let closed = Definition::gauge("pulse_x", "1", "X.", &["service"]);
        let open = Definition::gauge("pulse_y", "1", "Y.", &["tenant_id", "service"]);
        let mixed = Definition::gauge("pulse_z", "1", "Z.", &["tenant_id", "status"]);
        assert_eq!((closed.series_max(1_000), open.series_max(1_000), mixed.series_max(1_000)), (2_000, 1_002, 32_064));
    }
}
