//! The `OTEL_*` variables: the only place that reads the environment, and one typed struct that it becomes.
//!
//! The OTLP crates read some of these themselves; the kit reads all of them and hands the values on, so that tests can give their own and a
//! value that is not valid is an error instead of being passed over.

mod batch;
mod lookup;
mod otlp;
mod sampler;
mod settings;
mod signal;
pub(crate) mod variables;

pub(crate) use lookup::Env;
pub use lookup::VariableError;
pub(crate) use otlp::{OtlpSettings, Protocol, TlsFiles};
pub(crate) use sampler::{RootSampler, SamplerSettings};
pub(crate) use settings::{LogsPush, MetricsPush, Settings, TracesPush};
pub(crate) use signal::Signal;
