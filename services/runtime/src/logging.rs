//! Where log lines go: to standard error, as text or JSON. Exporting must never feed itself, so the transport crates are silent.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
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

const SILENT: &str = "hyper=off,h2=off,tonic=off,tower=off,reqwest=off,sqlx=warn";

/// Installs the process's log. Only `main` calls it.
///
/// # Errors
/// A text that names the setting when the filter cannot be read.
pub fn init(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{SILENT},{}", settings.filter)).map_err(|error| {
        format!("PULSE_LOG (--log) {:?} is no log filter: {error}; write for example info or info,pulse_evaluator=debug", settings.filter)
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|error| format!("the log is installed already: {error}"))
}
