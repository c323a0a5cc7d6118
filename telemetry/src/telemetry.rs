//! The handle that a service holds.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;

use crate::export::prometheus::{Exposition, ScrapeError};
use crate::export::shutdown::{Providers, ShutdownError};
use crate::logs::record::ServiceLog;
use crate::metrics::complaint::Complaints;
use crate::metrics::definition::Definition;
use crate::metrics::handles::{Counter, Gauge, Histogram};
use crate::metrics::instruments::Instruments;
use crate::metrics::labels::Labels;
use crate::metrics::snapshot::Snapshot;
use crate::traces::span::Tracer;
use crate::work::operation::Operation;
use crate::work::pool::{PoolProbe, PoolWaits};
use crate::work::queue::{QueueProbe, QueueSample};
use crate::work::readiness::Readiness;

/// The telemetry of one service: its instruments, what `/metrics` shows and what is pushed. Cheap to clone.
///
/// Nothing is global, so five services in one process keep five registries and five resources. It stays up while a clone of it (or its
/// [`router`](Self::router)) lives; hold it as long as `/metrics` is served, and do not keep one in a closure that is given to it.
#[derive(Debug, Clone)]
pub struct Telemetry(Arc<Inner>);

/// What a telemetry is made of.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) service: &'static str,
    pub(crate) providers: Providers,
    pub(crate) exposition: Exposition,
    pub(crate) instruments: Instruments,
    pub(crate) readiness: Readiness,
    pub(crate) complaints: Complaints,
    pub(crate) tracer: Tracer,
    pub(crate) log: ServiceLog,
    pub(crate) conventions: bool,
    pub(crate) prometheus: Option<(String, u16)>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The providers would otherwise push a last time right here, for as long as the collector likes.
        self.providers.shutdown_in_background();
    }
}

impl Telemetry {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The service's name.
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// The counter of a definition; the same one however often it is asked for. One without labels but `service` shows 0 from now on.
    ///
    /// This and the functions below never fail: a definition that is not sound ([`Definition::check`]), or differs from another of the same
    /// name, gives a handle that records nothing, and an error in the log.
    pub fn counter(&self, definition: &'static Definition) -> Counter {
        self.0.instruments.counter(definition)
    }

    /// The gauge of a definition. One without labels but `service` shows 0 from now on.
    pub fn gauge(&self, definition: &'static Definition) -> Gauge {
        self.0.instruments.gauge(definition)
    }

    /// The histogram of a definition.
    pub fn histogram(&self, definition: &'static Definition) -> Histogram {
        self.0.instruments.histogram(definition)
    }

    /// A gauge whose series are replaced as a whole: label sets that are left out disappear.
    pub fn snapshot(&self, definition: &'static Definition) -> Snapshot {
        self.0.instruments.snapshot(definition)
    }

    /// A gauge read at collection from a closure that must not block nor ask for a new instrument. One that panics is absent, and
    /// `pulse_telemetry_callback_panics_total` counts. It stays for the telemetry's life.
    pub fn observe(&self, definition: &'static Definition, labels: Labels<'_>, read: impl Fn() -> f64 + Send + Sync + 'static) {
        if let Some(observed) = self.0.instruments.observed(definition) {
            observed.add_series(labels, move || Some(read()));
        }
    }

    /// `pulse_db_pool_size`, `pulse_db_pool_free` and `pulse_db_pool_max`, read at collection.
    pub fn observe_pool(&self, probe: PoolProbe) {
        probe.observe(&self.0.instruments, self.pool_name());
    }

    /// `pulse_db_pool_waiting`, `pulse_db_pool_acquire_duration_seconds` and `pulse_db_pool_acquire_timeouts_total`, of waits that the
    /// caller tells of, as a pool tells of none. They show 0 from now on.
    pub fn pool_waits(&self) -> PoolWaits {
        PoolWaits::new(&self.0.instruments, self.pool_name())
    }

    /// What the conventions' metrics call the pool, of which a service has one.
    fn pool_name(&self) -> Option<&'static str> {
        self.0.conventions.then_some(self.0.service)
    }

    /// `pulse_queue_depth` and `pulse_queue_oldest_age_seconds`, sampled on a task of its own until the handle is dropped. Shows 0 from
    /// the first scrape on; after a failed probe it is absent until one succeeds, and `pulse_queue_probe_failures_total` counts. A probe
    /// fails with an error, by a panic, or by taking longer than `every` (at least 1 s, at most 10 s). Of two probes of one name the newer
    /// shows. Call it within a tokio runtime.
    pub fn queue<F, Fut, E>(&self, name: &'static str, every: Duration, probe: F) -> QueueProbe
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<QueueSample, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        QueueProbe::start(&self.0.instruments, &self.0.complaints, name, every, probe)
    }

    /// `pulse_processing_*` for one operation, handles bound once; its series show 0 from now on.
    pub fn operation(&self, name: &'static str) -> Operation {
        Operation::new(&self.0.instruments, name)
    }

    /// Whether the semantic conventions' own metrics are recorded too.
    pub fn conventions(&self) -> bool {
        self.0.conventions
    }

    /// Starts this service's spans.
    pub fn tracer(&self) -> Tracer {
        self.0.tracer.clone()
    }

    /// Runs `work` as this service's: what is logged in it becomes this service's log records, if the process's subscriber holds a
    /// [`LogLayer`](crate::LogLayer). A process with several services wraps each one's task; a task that is spawned takes part when it is
    /// wrapped too.
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.with_context(self.0.log.in_context(Context::current()))
    }

    /// Where `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT` want [`router`](Self::router) served besides, for the service to follow. None:
    /// neither is set.
    pub fn prometheus_address(&self) -> Option<(&str, u16)> {
        self.0.prometheus.as_ref().map(|(host, port)| (host.as_str(), *port))
    }

    /// What `/ready` answers from.
    pub fn readiness(&self) -> Readiness {
        self.0.readiness.clone()
    }

    /// Pushes a last time and stops the pipelines, within `within` whatever the collector does; `/metrics` answers 503 from then on.
    ///
    /// # Errors
    /// When the last push did not succeed or did not end in time: its figures are lost. A second call does nothing and succeeds.
    pub async fn shutdown(&self, within: Duration) -> Result<(), ShutdownError> {
        self.0.exposition.close();
        self.0.providers.shutdown(within).await
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// After a shutdown, or when the pipeline is broken.
    pub fn render(&self) -> Result<String, ScrapeError> {
        self.0.exposition.text()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn exposition(&self) -> &Exposition {
        &self.0.exposition
    }

    #[cfg(feature = "testing")]
    pub(crate) fn providers(&self) -> &Providers {
        &self.0.providers
    }

    #[cfg(feature = "testing")]
    pub(crate) fn complaints_kept(&self) -> Vec<String> {
        self.0.complaints.kept()
    }
}
