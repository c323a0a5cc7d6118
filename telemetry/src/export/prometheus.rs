//! From a collection to the text of `/metrics`, or the reason why there is none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use super::error::InitError;
use crate::metrics::collection::{Shared, Turn};

/// Why there is nothing to scrape. An empty answer would look healthy to Prometheus, so each of these is a 503.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// After [`Telemetry::shutdown`](crate::Telemetry::shutdown).
    #[error("telemetry was shut down")]
    ShutDown,
    /// The pipeline gave nothing, though it always holds some series: it is broken.
    #[error("the pipeline collected nothing; it is broken and the service has to be restarted")]
    Empty,
    /// The pipeline cannot collect.
    #[error("collecting failed: {0}")]
    Collect(String),
    /// What was collected cannot be written as text.
    #[error("encoding failed: {0}")]
    Encode(String),
    /// A bug of this crate or one below.
    #[error("collecting panicked")]
    Panicked,
    /// An observed metric's callback blocks, or the machine is overwhelmed.
    #[error("collecting took too long: a callback blocks, or the machine is overwhelmed")]
    TooLong,
}

/// The Prometheus side of one provider.
#[derive(Debug)]
pub(crate) struct Exposition {
    registry: Registry,
    reader: Arc<PrometheusExporter>,
    turn: Turn,
    closed: AtomicBool,
    previous: Arc<Previous>,
}

/// What the previous text cost.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    nanos: AtomicU64,
    bytes: AtomicU64,
}

impl Previous {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn set(&self, took: Duration, bytes: usize) {
        self.nanos.store(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.bytes.store(bytes as u64, Ordering::Relaxed);
    }
}

impl Exposition {
    /// And the reader to give to the provider.
    pub(crate) fn new(turn: Turn) -> Result<(Self, Shared<PrometheusExporter>), InitError> {
        let registry = Registry::new();
        // Names and labels stay to the letter: the defaults would add units, `_total` again, and the scope.
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .without_counter_suffixes()
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| InitError::Exporter(error.to_string()))?;
        let reader = Arc::new(reader);
        let handle = Shared(Arc::clone(&reader));
        Ok((Self { registry, reader, turn, closed: AtomicBool::new(false), previous: Arc::default() }, handle))
    }

    pub(crate) fn previous(&self) -> Arc<Previous> {
        Arc::clone(&self.previous)
    }

    /// From now on every scrape is refused.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn text(&self) -> Result<String, ScrapeError> {
        let began = Instant::now();
        let families = self.gather()?;
        let text = TextEncoder::new().encode_to_string(&families).map_err(|error| ScrapeError::Encode(error.to_string()))?;
        self.previous.set(began.elapsed(), text.len());
        Ok(text)
    }

    /// All families, never none.
    pub(crate) fn gather(&self) -> Result<Vec<MetricFamily>, ScrapeError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(ScrapeError::ShutDown);
        }
        let turn = || self.turn.take(&*self.reader, || self.registry.gather());
        let families = catch_unwind(AssertUnwindSafe(turn)).map_err(|_| ScrapeError::Panicked)?;
        let families = families.map_err(|error| ScrapeError::Collect(error.to_string()))?;
        if families.is_empty() { Err(ScrapeError::Empty) } else { Ok(families) }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;
    use crate::metrics::open::budget::{Budget, BudgetSettings};

    fn pipeline() -> (Exposition, SdkMeterProvider) {
        let budget = Budget::new("x", BudgetSettings::default());
        let (exposition, reader) = Exposition::new(Turn::new(budget)).unwrap();
        (exposition, SdkMeterProvider::builder().with_reader(reader).build())
    }

    #[test]
    fn an_empty_scrape_is_an_error() {
        let (exposition, provider) = pipeline();
        assert_eq!(exposition.text(), Err(ScrapeError::Empty));
        provider.meter("m").u64_counter("pulse_x_total").build().add(1, &[]);
        assert_eq!(exposition.text(), Ok("# TYPE pulse_x_total counter\npulse_x_total 1\n".to_owned()));
    }

    /// The SDK's own answer to each of these would be an empty text.
    #[test]
    fn a_broken_or_ended_pipeline_is_an_error() {
        let (exposition, provider) = pipeline();
        provider.meter("m").u64_counter("pulse_x_total").build().add(1, &[]);
        provider.meter("m").f64_observable_gauge("pulse_x").with_callback(|_| panic!("not guarded")).build();
        assert_eq!(exposition.text(), Err(ScrapeError::Panicked));
        assert!(matches!(exposition.text(), Err(ScrapeError::Collect(_) | ScrapeError::Panicked)));

        let (exposition, provider) = pipeline();
        provider.meter("m").u64_counter("pulse_x_total").build().add(1, &[]);
        drop(provider);
        assert!(matches!(exposition.text(), Err(ScrapeError::Collect(_))));
        exposition.close();
        assert_eq!(exposition.text(), Err(ScrapeError::ShutDown));
    }
}
