//! Why a service could not start or did not go on.

use std::net::SocketAddr;

/// Why a service ended that should not have.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task of the service failed.
    #[error("{what} failed")]
    Task {
        /// The task's name.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A task of the service ended though nobody asked it to.
    #[error("{what} ended before it was asked to")]
    Ended {
        /// The task's name.
        what: &'static str,
    },
    /// Tasks that did not end within the drain, and were cut.
    #[error("tasks were cut: they did not end within the drain of {drain:?}")]
    Cut {
        /// How long the tasks had.
        drain: std::time::Duration,
    },
    /// Settings that each are fine but do not fit together. The text names them and says what would be right.
    #[error("{0}")]
    Settings(String),
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {service}: {}", reason(source))]
pub struct BindError {
    /// The service that was to listen.
    pub service: &'static str,
    /// The address.
    pub address: SocketAddr,
    source: std::io::Error,
}

impl BindError {
    pub(crate) fn new(service: &'static str, address: SocketAddr, source: std::io::Error) -> Self {
        Self { service, address, source }
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is in use; stop what uses it or choose another".to_owned(),
        std::io::ErrorKind::PermissionDenied => "not permitted; ports below 1024 need privileges".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => "the address is not one of this machine's".to_owned(),
        _ => error.to_string(),
    }
}

/// An error with all its sources, on one line: how a failure is logged, once, where it is handled.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
