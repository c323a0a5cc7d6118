#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod builder;
mod env;
mod export;
mod logs;
mod metrics;
mod own;
mod router;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod traces;
mod work;

/// The API crate that the kit was built with.
pub use opentelemetry;

pub use builder::TelemetryBuilder;
pub use env::VariableError;
pub use env::variables::{VARIABLES, Variable};
pub use export::error::InitError;
pub use export::prometheus::ScrapeError;
pub use export::shutdown::ShutdownError;
pub use logs::burst::BurstLayer;
pub use logs::record::LogLayer;
pub use metrics::definition::{Definition, DefinitionError, Kind};
pub use metrics::handles::{BoundCounter, BoundGauge, BoundHistogram, Counter, Gauge, Histogram};
pub use metrics::labels::Labels;
pub use metrics::snapshot::Snapshot;
pub use metrics::{builtin, conventions};
pub use telemetry::Telemetry;
pub use traces::propagation;
pub use traces::span::{Span, SpanBuilder, Tracer};
pub use work::operation::{Operation, Timer};
pub use work::pool::{PoolProbe, PoolWaits};
pub use work::queue::{QueueProbe, QueueSample};
pub use work::readiness::{Activity, Readiness};
