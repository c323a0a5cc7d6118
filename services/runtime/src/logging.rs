//! Where log lines go: to standard error, as text or JSON, and over OTLP where that is on. Exporting must never feed itself, so the
//! transport crates are silent.

use std::io::IsTerminal as _;

use pulse_telemetry::{BurstLayer, LogLayer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of the log.
#[derive(Debug, Clone, clap::Args)]
pub struct LogSettings {
    /// What is logged: error, warn, info, debug, trace, or directives such as info,pulse_evaluator=debug
    #[arg(long = "log", env = "PULSE_LOG", default_value = "info", value_name = "FILTER", global = true)]
    pub filter: String,
    /// How log lines look
    #[arg(long, env = "PULSE_LOG_FORMAT", value_enum, default_value = "text", value_name = "FORMAT", global = true)]
    pub log_format: LogFormat,
}

/// The transports log nothing, as pushing what they say of a push would feed itself. The SDK logs only what is wrong.
const SILENT: &str = "hyper=off,h2=off,tonic=off,tower=off,reqwest=off,sqlx=warn,opentelemetry=warn,opentelemetry_sdk=warn,\
                      opentelemetry-otlp=warn,opentelemetry-sdk=warn,opentelemetry-http=warn";

/// Installs the process's log: to standard error, and from there to the services' own telemetry as log records. Only `main` calls it.
///
/// # Errors
/// A text that names the setting when the filter cannot be read.
pub fn init(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{SILENT},{}", settings.filter)).map_err(|error| {
        format!("PULSE_LOG (--log) {:?} is no log filter: {error}; write for example info or info,pulse_evaluator=debug", settings.filter)
    })?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let subscriber = tracing_subscriber::registry().with(filter).with(BurstLayer::new()).with(LogLayer::new());
    match settings.log_format {
        LogFormat::Text => subscriber.with(lines).try_init(),
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(|error| format!("the log is installed already: {error}"))
}
