#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod budget;
mod builder;
pub mod builtin;
mod collection;
mod complaint;
pub mod conventions;
mod definition;
mod env;
mod exposition;
mod holder;
mod instrument;
mod instruments;
mod labels;
mod logs;
mod observed;
mod open_counter;
mod operation;
mod otlp;
mod pool;
#[cfg(target_os = "linux")]
mod process;
pub mod propagation;
mod queue;
mod readiness;
mod resource;
mod router;
mod runtime_metrics;
mod sampling;
mod self_metrics;
mod series;
mod shutdown;
mod signal;
mod snapshot;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod trace;

/// The API crate that the kit was built with.
pub use opentelemetry;

pub use builder::{InitError, TelemetryBuilder};
pub use definition::{Definition, DefinitionError, Kind};
pub use env::VariableError;
pub use env::variables::{VARIABLES, Variable};
pub use exposition::ScrapeError;
pub use instrument::{BoundCounter, BoundGauge, BoundHistogram, Counter, Gauge, Histogram};
pub use labels::Labels;
pub use logs::{BurstLayer, LogLayer};
pub use operation::{Operation, Timer};
pub use pool::{PoolProbe, PoolWaits};
pub use queue::{QueueProbe, QueueSample};
pub use readiness::{Activity, Readiness};
pub use shutdown::ShutdownError;
pub use snapshot::Snapshot;
pub use telemetry::Telemetry;
pub use trace::{Span, SpanBuilder, Tracer};
