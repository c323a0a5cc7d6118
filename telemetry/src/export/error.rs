//! Why telemetry cannot start.

use std::path::PathBuf;

use crate::env::VariableError;

/// Why telemetry cannot start. Nothing is half started then.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The service's name would not do as a label and in a resource.
    #[error("the service's name is {0:?}, but it has to be [a-z][a-z0-9_-]*")]
    Service(String),
    /// An `OTEL_*` variable that is not valid.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// OTLP over gRPC needs the tokio runtime that will drive it.
    #[error("OTLP over grpc has to be started within a tokio runtime; call init there, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")]
    NoRuntime,
    /// A file named by `OTEL_EXPORTER_OTLP_CERTIFICATE`, `…_CLIENT_KEY` or `…_CLIENT_CERTIFICATE`.
    #[error("the TLS file {path} for OTLP is not usable: {reason}")]
    TlsFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An exporter cannot be built.
    #[error("an exporter cannot be built: {0}")]
    Exporter(String),
}
