//! Log records, from their making to the push: a queue that counts what it refuses, an exporter that is watched.

use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::Severity;
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, LogBatch, LogProcessor, SdkLogRecord, SdkLoggerProvider};

use super::account::{ExportWatch, Gate};
use super::transport;
use crate::env::{LogsPush, OtlpSettings, Protocol};
use crate::export::error::InitError;

/// The provider of one service's log records.
pub(crate) fn provider(settings: &LogsPush, resource: Resource, watch: ExportWatch) -> Result<SdkLoggerProvider, InitError> {
    let gate = Gate::new(settings.batch.queue_max, watch);
    let exporter = Exporter { push: push(&settings.otlp)?, gate: gate.clone() };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(settings.batch.queue_max)
        .with_max_export_batch_size(settings.batch.batch_max)
        .with_scheduled_delay(settings.batch.delay)
        .build();
    let batches = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    Ok(SdkLoggerProvider::builder().with_resource(resource).with_log_processor(Queue { batches, gate }).build())
}

/// The SDK's queue behind the gate.
#[derive(Debug)]
struct Queue {
    batches: BatchLogProcessor,
    gate: Gate,
}

impl LogProcessor for Queue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.gate.enter() {
            self.batches.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.batches.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

#[derive(Debug)]
struct Exporter {
    push: LogExporter,
    gate: Gate,
}

impl opentelemetry_sdk::logs::LogExporter for Exporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.gate.push(batch.iter().count(), self.push.export(batch)).await
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.push.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.push.set_resource(resource);
    }
}

fn push(settings: &OtlpSettings) -> Result<LogExporter, InitError> {
    let builder = LogExporter::builder();
    let built = match settings.protocol {
        Protocol::Grpc => transport::grpc(builder.with_tonic(), settings)?.build(),
        Protocol::HttpProtobuf => transport::http(builder.with_http(), settings)?.build(),
    };
    built.map_err(|error| InitError::Exporter(error.to_string()))
}
