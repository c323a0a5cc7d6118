//! From `tracing` to log records: each event becomes a record of the service in whose scope it was logged, with the ids of the span in whose
//! scope it was logged.
//!
//! A process has one subscriber but may hold several services, so which service an event belongs to travels in the OpenTelemetry context,
//! as the current span does: [`Telemetry::scope`](crate::Telemetry::scope) puts it there.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::handles::BoundCounter;

/// The target of what the kit says about its own pushes. It is never pushed, as it would feed itself.
pub(crate) const PIPELINE_TARGET: &str = "pulse_telemetry::push";
/// Targets that start so are the SDK's.
const SDK_TARGET: &str = "opentelemetry";

type Bridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

/// A service, as the context carries it.
#[derive(Clone)]
pub(crate) struct ServiceLog(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) service: &'static str,
    /// None: its records are not pushed.
    bridge: Option<Bridge>,
    pub(super) suppressed: BoundCounter,
}

impl std::fmt::Debug for ServiceLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServiceLog").field(&self.0.service).finish()
    }
}

impl ServiceLog {
    pub(crate) fn new(service: &'static str, provider: Option<&SdkLoggerProvider>, suppressed: BoundCounter) -> Self {
        Self(Arc::new(Inner { service, bridge: provider.map(Bridge::new), suppressed }))
    }

    /// The context with this service in it.
    pub(crate) fn in_context(&self, context: Context) -> Context {
        match context.get::<Self>() {
            Some(other) if Arc::ptr_eq(&other.0, &self.0) => context,
            _ => context.with_value(self.clone()),
        }
    }

    /// The one in whose scope this is called. Cloned out, as what is done with it may change the context.
    pub(super) fn current() -> Option<Self> {
        Context::map_current(|context| context.get::<Self>().cloned())
    }
}

/// Says whether an event is about pushing itself: the kit's own warnings, and what the SDK complains of.
pub(super) fn is_about_pushing(target: &str) -> bool {
    target == PIPELINE_TARGET || target.starts_with(SDK_TARGET)
}

/// Hands events to the service in whose scope they are logged, as log records. Goes into the process's one subscriber; without
/// `OTEL_LOGS_EXPORTER` or an endpoint it does nothing. Events outside any service's scope are not pushed.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogLayer(());

impl LogLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        if is_about_pushing(event.metadata().target()) {
            return;
        }
        if let Some(service) = ServiceLog::current()
            && let Some(bridge) = &service.0.bridge
        {
            bridge.on_event(event, context);
        }
    }
}
