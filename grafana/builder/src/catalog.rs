//! Every metric that a board may ask for: Pulse's own, from the definitions in the code, and those of what stands around it.

mod around;
mod known;

use pulse_telemetry::{Definition, Kind};

pub use self::known::Known;

/// Pulse's own metrics, by the service that records them.
pub const PULSE: &[(&str, &[&Definition])] = &[
    ("Every service", pulse_telemetry::builtin::DEFINITIONS),
    ("ui_api", pulse_ui_api::metrics::DEFINITIONS),
    ("evaluator", pulse_evaluator::metrics::DEFINITIONS),
    ("dispatcher", pulse_dispatcher::metrics::DEFINITIONS),
    ("delivery_worker", pulse_delivery_worker::metrics::DEFINITIONS),
    ("ops_worker", pulse_ops_worker::metrics::DEFINITIONS),
];

/// The matchers by which the variables of a board choose series.
const BY_TRANSPORT: (&str, &str, &str) = ("transport", "=", "$transport");
const BY_JOB: (&str, &str, &str) = ("job", "=~", "$job");
const BY_INSTANCE: (&str, &str, &str) = ("instance", "=~", "$instance");
const BY_SERVICE: (&str, &str, &str) = ("service", "=~", "$service");
const BY_TENANT: (&str, &str, &str) = ("tenant_id", "=~", "$tenant");

const PULSE_TARGET: &[&str] = &["transport", "job", "instance"];

/// Every metric.
pub fn all() -> impl Iterator<Item = Known> {
    let pulse = PULSE.iter().flat_map(|(_, definitions)| definitions.iter()).map(|definition| Known {
        name: definition.name,
        kind: definition.kind,
        labels: definition.labels,
        target_labels: PULSE_TARGET,
        pulse: true,
        shared: definition.shared,
    });
    pulse.chain(around::METRICS.iter().copied())
}

/// Finds a metric by the name of one of its series: a histogram's are `_bucket`, `_sum` and `_count`.
pub fn find(series: &str) -> Option<Known> {
    all().find(|known| match known.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].iter().any(|part| series.strip_suffix(part) == Some(known.name)),
        Kind::Counter | Kind::Gauge | Kind::UpDownCounter => series == known.name,
    })
}

/// The matchers through which a board's variables choose among a metric's series; none for a metric that is not known.
pub(crate) fn matchers(name: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let Some(known) = all().find(|known| known.name == name) else { return Vec::new() };
    // A foreign metric's own transport, job or service is something else.
    let own: &[&str] = if known.pulse { known.labels } else { &[] };
    let mut chosen = Vec::new();
    for matcher in [BY_TRANSPORT, BY_JOB, BY_INSTANCE, BY_SERVICE, BY_TENANT] {
        if own.contains(&matcher.0) || known.target_labels.contains(&matcher.0) {
            chosen.push(matcher);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_find_their_metric() {
        for (series, name) in [
            ("pulse_queue_depth", Some("pulse_queue_depth")),
            ("pulse_alert_latency_seconds_bucket", Some("pulse_alert_latency_seconds")),
            ("pulse_alert_latency_seconds", None),
            ("pulse_queue_depth_sum", None),
            ("up", Some("up")),
            ("pulse_nonsense", None),
        ] {
            assert_eq!(find(series).map(|known| known.name), name, "{series}");
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<_> = all().map(|known| known.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
