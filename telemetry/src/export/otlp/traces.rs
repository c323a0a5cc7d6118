//! Spans, from their end to the push: which are kept, a queue that counts what it refuses, an exporter that is watched.

use std::time::Duration;

use opentelemetry::trace::{Status, TraceFlags};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanProcessor};

use super::account::{ExportWatch, Gate};
use super::transport;
use crate::env::{OtlpSettings, Protocol, TracesPush};
use crate::export::error::InitError;
use crate::traces::sampling;

/// The provider of one service's spans. With `keep_errors` a span that fails is pushed although its trace is not sampled.
pub(crate) fn provider(
    settings: &TracesPush,
    resource: Resource,
    watch: ExportWatch,
    keep_errors: bool,
) -> Result<SdkTracerProvider, InitError> {
    let gate = Gate::new(settings.batch.queue_max, watch);
    let exporter = Exporter { push: push(&settings.otlp)?, gate: gate.clone() };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(settings.batch.queue_max)
        .with_max_export_batch_size(settings.batch.batch_max)
        .with_scheduled_delay(settings.batch.delay)
        .build();
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let queue = Queue { batches, gate, keep_errors };
    let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(queue);
    Ok(sampling::with_sampler(provider, settings.sampler, keep_errors).build())
}

/// The SDK's queue behind the gate.
#[derive(Debug)]
struct Queue {
    batches: BatchSpanProcessor,
    gate: Gate,
    keep_errors: bool,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            if !(self.keep_errors && matches!(span.status, Status::Error { .. })) {
                return;
            }
            // Receivers may drop what does not say that it is sampled.
            span.span_context = sampling::flagged(&span.span_context, TraceFlags::SAMPLED);
        }
        if self.gate.enter() {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

#[derive(Debug)]
struct Exporter {
    push: SpanExporter,
    gate: Gate,
}

impl opentelemetry_sdk::trace::SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.gate.push(batch.len(), self.push.export(batch)).await
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.push.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.push.set_resource(resource);
    }
}

fn push(settings: &OtlpSettings) -> Result<SpanExporter, InitError> {
    let builder = SpanExporter::builder();
    let built = match settings.protocol {
        Protocol::Grpc => transport::grpc(builder.with_tonic(), settings)?.build(),
        Protocol::HttpProtobuf => transport::http(builder.with_http(), settings)?.build(),
    };
    built.map_err(|error| InitError::Exporter(error.to_string()))
}
