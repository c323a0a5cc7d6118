//! Reads values and spans back, for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::builder::TelemetryBuilder;
use crate::export::shutdown::ShutdownError;
use crate::telemetry::Telemetry;

use crate::traces::kept::KeptSpans;
pub use crate::traces::kept::{KeptLink, KeptSpan};

/// A series' labels.
pub type SeriesLabels = BTreeMap<String, String>;

impl TelemetryBuilder {
    /// Keeps every span that is sampled in memory, for [`Telemetry::spans`].
    pub fn keep_spans(mut self) -> Self {
        self.kept_spans = Some(KeptSpans::default());
        self
    }
}

impl Telemetry {
    /// The spans that have ended so far, in the order of their ends. Empty without [`TelemetryBuilder::keep_spans`].
    pub fn spans(&self) -> Vec<KeptSpan> {
        self.tracer().kept_spans().map(KeptSpans::all).unwrap_or_default()
    }

    /// The value of one series: counters and gauges; of a histogram name it with `_count` or `_sum`. All labels have to be given, but
    /// `service` may be left out.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let given: BTreeMap<_, _> = labels.iter().copied().collect();
        let matches = |series: &SeriesLabels| {
            let relevant = series.iter().filter(|(label, _)| label.as_str() != "service" || given.contains_key("service"));
            relevant.map(|(label, value)| (label.as_str(), value.as_str())).eq(given.iter().map(|(label, value)| (*label, *value)))
        };
        self.series(name).into_iter().find(|(series, _)| matches(series)).map(|(_, value)| value)
    }

    /// Every series of a metric with its value; of a histogram name it with `_count` or `_sum`. Empty when there is none.
    pub fn series(&self, name: &str) -> Vec<(SeriesLabels, f64)> {
        let families = self.exposition().gather().unwrap_or_default();
        families
            .iter()
            .flat_map(|family| family.get_metric().iter().filter_map(|metric| Some((labels(metric), value(family, metric, name)?))))
            .collect()
    }

    /// What the kit refused or dropped: definitions that clash, labels that are not a definition's, and the like. A service's test can hold
    /// that there is none.
    pub fn complaints(&self) -> Vec<String> {
        self.complaints_kept()
    }

    /// Pushes over OTLP now.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub async fn flush(&self, within: Duration) -> Result<(), ShutdownError> {
        self.providers().flush(within).await
    }
}

fn labels(metric: &Metric) -> SeriesLabels {
    metric.get_label().iter().map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect()
}

fn value(family: &MetricFamily, metric: &Metric, name: &str) -> Option<f64> {
    match (family.get_field_type(), name.strip_prefix(family.name())?) {
        (MetricType::COUNTER, "") => Some(metric.get_counter().get_value()),
        (MetricType::GAUGE, "") => Some(metric.get_gauge().get_value()),
        #[allow(clippy::cast_precision_loss, reason = "counts of a test")]
        (MetricType::HISTOGRAM, "_count") => Some(metric.get_histogram().get_sample_count() as f64),
        (MetricType::HISTOGRAM, "_sum") => Some(metric.get_histogram().get_sample_sum()),
        _ => None,
    }
}
