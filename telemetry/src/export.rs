//! How telemetry leaves the process: the text of `/metrics`, and pushes over OTLP.

pub(crate) mod error;
pub(crate) mod otlp;
pub(crate) mod prometheus;
pub(crate) mod resource;
pub(crate) mod shutdown;
mod tls;
