//! What can keep a simulation from running.

use std::net::SocketAddr;

/// Why a simulation cannot start or go on. Never holds a token or a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's address is of no use.
    #[error("the url {url:?} is of no use here: {reason}")]
    Url { url: String, reason: String },
    /// The client could not be built.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
    /// TLS is not available.
    #[error("TLS cannot be set up")]
    Tls(#[source] pulse_runtime::Error),
    /// The sink's address is not free, or not ours.
    #[error("the sink cannot listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The sink's signing secret is not `whsec_` and base64.
    #[error("the sink's signing secret must be whsec_ and base64")]
    SigningSecret,
    /// The server could not be reached in time.
    #[error("{what}: no answer from the server")]
    Unreachable {
        what: String,
        #[source]
        source: reqwest::Error,
    },
    /// The server answered something else than expected.
    #[error("{what}: the server answered {status}: {detail}")]
    Refused { what: String, status: u16, detail: String },
    /// An answer that is not what the API promises.
    #[error("{what}: the answer is not understood: {detail}")]
    Answer { what: String, detail: String },
    /// A plan that makes no sense.
    #[error("{0}")]
    Plan(String),
    /// A task of the simulation itself broke.
    #[error("{what} ended early")]
    Ended {
        what: &'static str,
        #[source]
        source: tokio::task::JoinError,
    },
    /// A histogram could not be made.
    #[error("no latency histogram")]
    Histogram(#[from] hdrhistogram::CreationError),
    /// Shutdown came first.
    #[error("{what}: stopped before it was done")]
    Stopped { what: String },
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
