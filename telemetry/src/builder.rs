//! How a service's telemetry is made: a meter with two readers, a tracer, a logger.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};

use crate::env::Env;
use crate::env::Signal;
use crate::export::error::InitError;
use crate::export::otlp;
use crate::export::otlp::account::{ExportWatch, Warning};
use crate::export::otlp::metrics::{LateWatch, OtlpReader};
use crate::export::prometheus::Exposition;
use crate::export::resource::resource;
use crate::export::shutdown::Providers;
use crate::logs::record::ServiceLog;
use crate::metrics::builtin::{BUILD_INFO, CALLBACK_PANICS, LOGS_SUPPRESSED};
use crate::metrics::collection::Turn;
use crate::metrics::complaint::Complaints;
use crate::metrics::instruments::{Instruments, SeriesLimits};
use crate::metrics::open::budget::{Budget, BudgetSettings};
use crate::own;
use crate::telemetry::{Inner, Telemetry};
use crate::traces::span::Tracer;
use crate::work::readiness::Readiness;

/// The instrumentation scope of everything. One meter, as without the scope on `/metrics` two would print the same names twice.
const SCOPE: &str = "pulse";

/// The largest budget of tenants.
const VALUES_MAX: usize = 100_000;

/// Gathers what a [`Telemetry`] is made from.
#[derive(Debug)]
#[must_use = "nothing starts before init"]
pub struct TelemetryBuilder {
    service: &'static str,
    namespace: Option<&'static str>,
    version: Option<&'static str>,
    name_from_env: bool,
    conventions: bool,
    keep_errors: bool,
    budget: BudgetSettings,
    env: Env,
    #[cfg(feature = "testing")]
    pub(crate) kept_spans: Option<crate::traces::kept::KeptSpans>,
}

impl Telemetry {
    /// `service` is the label `service` and the resource's `service.name`.
    pub fn builder(service: &'static str) -> TelemetryBuilder {
        TelemetryBuilder::new(service)
    }
}

impl TelemetryBuilder {
    fn new(service: &'static str) -> Self {
        Self {
            service,
            namespace: None,
            version: None,
            name_from_env: false,
            conventions: false,
            keep_errors: false,
            budget: BudgetSettings::default(),
            env: Env::of_process(),
            #[cfg(feature = "testing")]
            kept_spans: None,
        }
    }

    /// `service.namespace`: what the services of one system share.
    pub fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// `service.version`, and the label of `pulse_build_info`. Usually `env!("CARGO_PKG_VERSION")`.
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// Lets `OTEL_SERVICE_NAME` (or `service.name` in `OTEL_RESOURCE_ATTRIBUTES`) name the resource. For a process that holds this service
    /// only: of several in one process, all would get the same name, so without this both are passed over. The label `service` stays.
    pub fn service_name_from_env(mut self) -> Self {
        self.name_from_env = true;
        self
    }

    /// Records the OpenTelemetry semantic conventions' own metrics too (`db.client.connection.*`, `http.server.request.duration`), for
    /// boards that are made for those. Off unless asked for: they say again what `pulse_*` says.
    pub fn conventions(mut self, wanted: bool) -> Self {
        self.conventions = wanted;
        self
    }

    /// Records every span and pushes those that failed even where their trace is not sampled: with a low share sampled, what went wrong is
    /// still there to be looked at. Costs the recording of each span.
    pub fn keep_errors(mut self) -> Self {
        self.keep_errors = true;
        self
    }

    /// How many tenants have series of their own, over all metrics with the label `tenant_id`: 1,000 unless set here, at most 100,000. First
    /// come; the others are counted under `_other`, and the log names them.
    pub fn label_values_max(mut self, tenants: usize) -> Self {
        self.budget.values_max = tenants.min(VALUES_MAX);
        self
    }

    /// After how long without a recording a tenant gives its place to others and its series end: an hour unless set here. Recording 0, binding
    /// and being shown in a snapshot keep them as long as nobody else needs the place. It should be some times as long as the longest of the
    /// intervals of scraping and pushing, so that the last values are seen.
    pub fn label_idle_after(mut self, idle: Duration) -> Self {
        self.budget.idle_after = idle;
        self
    }

    /// Reads OTEL_* from here instead of the environment; for tests.
    pub fn env(mut self, lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.env = Env::from_fn(lookup);
        self
    }

    /// Starts the pipeline. Within a tokio runtime, if OTLP over gRPC is wanted.
    ///
    /// # Errors
    /// An `OTEL_*` variable that is not valid, or an exporter that cannot be built. A collector that is not there is no error.
    pub fn init(self) -> Result<Telemetry, InitError> {
        check_service(self.service)?;
        let settings = self.env.settings()?;
        let budget = Budget::new(self.service, self.budget);
        let turn = Turn::new(Arc::clone(&budget));
        let limits = SeriesLimits::default();
        let late = LateWatch::default();
        let (exposition, scraped) = Exposition::new(turn.clone())?;
        let resource = resource(self.service, self.namespace, self.version, &settings, self.name_from_env);
        let mut provider =
            SdkMeterProvider::builder().with_resource(resource.clone()).with_view(limited(Arc::clone(&limits))).with_reader(scraped);
        if let Some(push) = &settings.metrics {
            provider = provider.with_reader(OtlpReader::new(push, turn, Arc::clone(&late))?);
        }
        let metrics = provider.build();
        let complaints = Complaints::new(self.service);
        let instruments = Instruments::new(self.service, metrics.meter(SCOPE), limits, Arc::clone(&budget), complaints.clone());
        own::kit::show(&instruments, &exposition, &budget);
        #[cfg(target_os = "linux")]
        own::process::show(&instruments);
        own::runtime::show(&instruments);
        self.own_metrics(&instruments);
        let warning = Warning::default();
        let watch = |signal| ExportWatch::new(self.service, signal, &instruments, warning.clone());
        if settings.metrics.is_some() {
            late.get_or_init(|| watch(Signal::Metrics));
        }
        let traces = match &settings.traces {
            Some(push) => Some(otlp::traces::provider(push, resource.clone(), watch(Signal::Traces), self.keep_errors)?),
            None => None,
        };
        let logs = match &settings.logs {
            Some(push) => Some(otlp::logs::provider(push, resource, watch(Signal::Logs))?),
            None => None,
        };
        let log = ServiceLog::new(self.service, logs.as_ref(), instruments.counter(&LOGS_SUPPRESSED).bind(&[]));
        let tracer = Tracer::new(traces.as_ref().map(|traces| traces.tracer(SCOPE)), settings.propagate, log.clone());
        #[cfg(feature = "testing")]
        let tracer = tracer.keeping(self.kept_spans);
        Ok(Telemetry::new(Inner {
            service: self.service,
            providers: Providers { metrics, traces, logs },
            exposition,
            instruments,
            readiness: Readiness::default(),
            complaints,
            tracer,
            log,
            conventions: self.conventions,
            prometheus: settings.prometheus,
        }))
    }

    /// What every service shows, so that an empty scrape always means a broken pipeline.
    fn own_metrics(&self, instruments: &Instruments) {
        instruments.counter(&CALLBACK_PANICS);
        if let Some(build) = instruments.observed(&BUILD_INFO) {
            build.add_series(&[("version", self.version.unwrap_or("unknown"))], || Some(1.0));
        }
    }
}

/// A view, because only a view can set how many series a metric may have.
fn limited(limits: SeriesLimits) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static {
    move |instrument| {
        let series_max = limits.lock().unwrap_or_else(PoisonError::into_inner).get(instrument.name()).copied()?;
        Stream::builder().with_cardinality_limit(series_max).build().ok()
    }
}

fn check_service(service: &str) -> Result<(), InitError> {
    let first = service.starts_with(|c: char| c.is_ascii_lowercase());
    if first && service.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-') {
        Ok(())
    } else {
        Err(InitError::Service(service.to_owned()))
    }
}
