//! The reader that pushes metrics.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, PeriodicReader, Pipeline, Temporality};

use super::account::ExportWatch;
use super::transport;
use crate::env::{MetricsPush, OtlpSettings, Protocol};
use crate::export::error::InitError;
use crate::metrics::collection::Turn;

/// A periodic reader whose exporter collects again in a turn of its own, as the periodic collection sees no observables.
#[derive(Debug)]
pub(crate) struct OtlpReader {
    periodic: PeriodicReader<Exporter>,
    fresh: Arc<ManualReader>,
}

/// Set once the instruments exist, which need the reader.
pub(crate) type LateWatch = Arc<OnceLock<ExportWatch>>;

impl OtlpReader {
    pub(crate) fn new(settings: &MetricsPush, turn: Turn, watch: LateWatch) -> Result<Self, InitError> {
        let fresh = Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build());
        let exporter = Exporter { push: push(&settings.otlp)?, fresh: Arc::clone(&fresh), turn, watch };
        Ok(Self { periodic: PeriodicReader::builder(exporter).with_interval(settings.interval).build(), fresh })
    }
}

impl MetricReader for OtlpReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.fresh.register_pipeline(Weak::clone(&pipeline));
        self.periodic.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.fresh.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.periodic.force_flush()
    }

    /// Pushes a last time, so the fresh reader is left as it is.
    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.periodic.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, _kind: InstrumentKind) -> Temporality {
        Temporality::Cumulative
    }
}

#[derive(Debug)]
struct Exporter {
    push: MetricExporter,
    fresh: Arc<ManualReader>,
    turn: Turn,
    watch: LateWatch,
}

impl PushMetricExporter for Exporter {
    async fn export(&self, _without_observables: &ResourceMetrics) -> OTelSdkResult {
        let mut metrics = ResourceMetrics::default();
        self.turn.take(&*self.fresh, || self.fresh.collect(&mut metrics))??;
        let pushed = self.push.export(&metrics).await;
        if let Some(watch) = self.watch.get() {
            watch.pushed(1, &pushed);
        }
        pushed
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.push.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.push.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn push(settings: &OtlpSettings) -> Result<MetricExporter, InitError> {
    let builder = MetricExporter::builder().with_temporality(Temporality::Cumulative);
    let built = match settings.protocol {
        Protocol::Grpc => transport::grpc(builder.with_tonic(), settings)?.build(),
        Protocol::HttpProtobuf => transport::http(builder.with_http(), settings)?.build(),
    };
    built.map_err(|error| InitError::Exporter(error.to_string()))
}
