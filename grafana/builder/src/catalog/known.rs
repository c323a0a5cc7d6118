//! A metric that a board may ask for.

use pulse_telemetry::Kind;

/// A metric as a query sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Its name, without a histogram's suffixes.
    pub name: &'static str,
    /// Its kind, which decides what queries may do with it.
    pub kind: Kind,
    /// Its own labels.
    pub labels: &'static [&'static str],
    /// Labels that it gets on its way into Prometheus.
    pub target_labels: &'static [&'static str],
    /// Whether it is one of Pulse's own.
    pub pulse: bool,
    /// Whether all replicas report the same number.
    pub shared: bool,
}
