//! Pushing to a collector, over gRPC or HTTP: metrics, spans and log records, each with a queue, a client and settings of its own.

pub(crate) mod account;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod traces;
mod transport;
