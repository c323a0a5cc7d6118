//! The five services as one list: names, ports, settings, and how each is started.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use pulse_runtime::{Clock, Deps, Error, Listeners, Shutdown, parse_duration};
use pulse_telemetry::Telemetry;

use crate::database::{Database, PoolArguments};

/// A service of Pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Service {
    /// Takes readings in and serves the API
    UiApi,
    /// Finds what is wrong
    Evaluator,
    /// Decides who hears of it
    Dispatcher,
    /// Delivers
    DeliveryWorker,
    /// Watches the watchers
    OpsWorker,
}

impl Service {
    /// All services in the order of their ports: ui_api's is the first.
    pub(crate) const ALL: [Self; 5] = [Self::UiApi, Self::Evaluator, Self::Dispatcher, Self::DeliveryWorker, Self::OpsWorker];

    /// The label `service` and the resource's `service.name`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UiApi => "ui_api",
            Self::Evaluator => "evaluator",
            Self::Dispatcher => "dispatcher",
            Self::DeliveryWorker => "delivery_worker",
            Self::OpsWorker => "ops_worker",
        }
    }
}

/// Every service's own settings.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServiceSettings {
    #[command(flatten, next_help_heading = "ui_api")]
    pub(crate) ui_api: pulse_ui_api::Settings,
    #[command(flatten, next_help_heading = "evaluator")]
    pub(crate) evaluator: pulse_evaluator::Settings,
    #[command(flatten, next_help_heading = "dispatcher")]
    pub(crate) dispatcher: pulse_dispatcher::Settings,
    #[command(flatten, next_help_heading = "delivery_worker")]
    pub(crate) delivery_worker: pulse_delivery_worker::Settings,
    #[command(flatten, next_help_heading = "ops_worker")]
    pub(crate) ops_worker: pulse_ops_worker::Settings,
}

impl ServiceSettings {
    /// Whether a service can run with its settings.
    ///
    /// # Errors
    /// Names the setting, what it is and what would be right.
    pub(crate) fn validate(&self, service: Service) -> Result<(), Error> {
        match service {
            Service::UiApi => self.ui_api.validate(),
            Service::Evaluator => self.evaluator.validate(),
            Service::Dispatcher => self.dispatcher.validate(),
            Service::DeliveryWorker => self.delivery_worker.validate(),
            Service::OpsWorker => self.ops_worker.validate(),
        }
    }
}

/// Settings of every service's telemetry besides `OTEL_*`.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct TelemetrySettings {
    /// Pushes spans that failed even where OTEL_TRACES_SAMPLER leaves their trace out; every span is recorded for it
    #[arg(long, env = "PULSE_KEEP_ERROR_SPANS", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) keep_error_spans: bool,
    /// Tenants that have series of their own in each service's metrics; the others are counted under tenant_id="_other"
    #[arg(long, env = "PULSE_TENANT_SERIES_MAX", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub(crate) tenant_series_max: u32,
    /// A tenant for which nothing was counted for this long gives its place to others: its series end
    #[arg(long, env = "PULSE_TENANT_SERIES_IDLE", default_value = "1h", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) tenant_series_idle: Duration,
    /// Records the OpenTelemetry conventions' own metrics too (db.client.connection.*, http.server.request.duration), for boards made for those
    #[arg(long, env = "PULSE_OTEL_CONVENTIONS", default_value_t = false, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) otel_conventions: bool,
}

/// A service under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A service's own telemetry, pool and clock: five of them in one process share nothing but the database. `alone`: it is the only
/// service of this process, so that the process's name from outside is its name.
///
/// # Errors
/// An `OTEL_*` variable that cannot be read, or a database file that cannot be opened; the text names it.
pub(crate) async fn deps(
    service: Service,
    database: &Database,
    pool: &PoolArguments,
    settings: &TelemetrySettings,
    alone: bool,
) -> anyhow::Result<Deps> {
    let mut telemetry = Telemetry::builder(service.name())
        .namespace("pulse")
        .version(env!("CARGO_PKG_VERSION"))
        .label_values_max(settings.tenant_series_max as usize)
        .label_idle_after(settings.tenant_series_idle)
        .conventions(settings.otel_conventions);
    if alone {
        telemetry = telemetry.service_name_from_env();
    }
    if settings.keep_error_spans {
        telemetry = telemetry.keep_errors();
    }
    let telemetry = telemetry.init().with_context(|| format!("the telemetry of {} cannot start", service.name()))?;
    Ok(Deps::new(database.pool(service.name(), pool).await?, telemetry, Clock::system()))
}

/// The service's future: it runs until shutdown.
pub(crate) fn start(service: Service, deps: Deps, settings: &ServiceSettings, listeners: Listeners, shutdown: Shutdown) -> Running {
    let settings = settings.clone();
    let telemetry = deps.telemetry.clone();
    match service {
        Service::UiApi => Box::pin(telemetry.scope(pulse_ui_api::run(deps, settings.ui_api, listeners, shutdown))),
        Service::Evaluator => Box::pin(telemetry.scope(pulse_evaluator::run(deps, settings.evaluator, listeners, shutdown))),
        Service::Dispatcher => Box::pin(telemetry.scope(pulse_dispatcher::run(deps, settings.dispatcher, listeners, shutdown))),
        Service::DeliveryWorker => {
            Box::pin(telemetry.scope(pulse_delivery_worker::run(deps, settings.delivery_worker, listeners, shutdown)))
        }
        Service::OpsWorker => {
            // A job is dead after as many attempts, whether its worker gave it up or died over it.
            let settings = pulse_ops_worker::Settings { attempts_max: settings.delivery_worker.attempts_max, ..settings.ops_worker };
            Box::pin(telemetry.scope(pulse_ops_worker::run(deps, settings, listeners, shutdown)))
        }
    }
}
