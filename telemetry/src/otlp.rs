//! The reader that pushes to a collector, over gRPC or HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{Compression, MetricExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, PeriodicReader, Pipeline, Temporality};

use crate::builder::InitError;
use crate::collection::Turn;
use crate::env::{OtlpSettings, Protocol};
use crate::instrument::BoundCounter;
use crate::tls::Tls;

/// A periodic reader whose exporter collects again in a turn of its own, as the periodic collection sees no observables.
#[derive(Debug)]
pub(crate) struct OtlpReader {
    periodic: PeriodicReader<Exporter>,
    fresh: Arc<ManualReader>,
}

/// Counts pushes by outcome; set once the instruments exist.
pub(crate) type Outcomes = Arc<std::sync::OnceLock<(BoundCounter, BoundCounter)>>;

impl OtlpReader {
    pub(crate) fn new(settings: &OtlpSettings, turn: Turn, outcomes: Outcomes) -> Result<Self, InitError> {
        let fresh = Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build());
        let exporter = Exporter { push: push(settings)?, fresh: Arc::clone(&fresh), turn, outcomes };
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
    outcomes: Outcomes,
}

impl PushMetricExporter for Exporter {
    async fn export(&self, _without_observables: &ResourceMetrics) -> OTelSdkResult {
        let mut metrics = ResourceMetrics::default();
        self.turn.take(&*self.fresh, || self.fresh.collect(&mut metrics))??;
        let pushed = self.push.export(&metrics).await;
        if let Some((success, error)) = self.outcomes.get() {
            if pushed.is_ok() { success } else { error }.add(1);
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
    let built = match settings.protocol {
        Protocol::Grpc => grpc(settings)?,
        Protocol::HttpProtobuf => http(settings)?,
    };
    built.map_err(|error| InitError::Exporter(error.to_string()))
}

type Built = Result<MetricExporter, opentelemetry_otlp::ExporterBuildError>;

fn grpc(settings: &OtlpSettings) -> Result<Built, InitError> {
    // The channel is driven by the runtime that it is made in, and panics without one.
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(InitError::NoRuntime);
    }
    let mut builder = MetricExporter::builder()
        .with_temporality(Temporality::Cumulative)
        .with_tonic()
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .with_metadata(MetadataMap::from_headers(settings.headers.iter().cloned().collect()));
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    if settings.endpoint.scheme_str() == Some("https") {
        builder = builder.with_tls_config(Tls::read(&settings.tls)?.for_tonic()?);
    }
    Ok(builder.build())
}

fn http(settings: &OtlpSettings) -> Result<Built, InitError> {
    let headers = settings.headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let mut builder = MetricExporter::builder()
        .with_temporality(Temporality::Cumulative)
        .with_http()
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .with_headers(headers.collect::<HashMap<_, _>>())
        .with_http_client(blocking_client(settings)?);
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder.build())
}

/// Blocking, because the reader's thread has no reactor; made on a thread of its own, because it may not be made within a runtime. Named
/// explicitly, because the exporter would otherwise take an asynchronous one as soon as any crate in the graph turns that feature on.
fn blocking_client(settings: &OtlpSettings) -> Result<reqwest::blocking::Client, InitError> {
    let tls = Tls::read(&settings.tls)?.for_reqwest()?;
    let timeout = settings.timeout;
    let build = move || {
        reqwest::blocking::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(timeout)
            // A redirect would carry the headers, which are secrets, elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
    };
    let failed = |error: String| InitError::Exporter(format!("the HTTP client cannot be built: {error}"));
    let thread = std::thread::Builder::new().name("otlp-http-client".to_owned()).spawn(build).map_err(|error| failed(error.to_string()))?;
    thread.join().map_err(|_| failed("it panicked".to_owned()))?.map_err(|error| failed(error.to_string()))
}
