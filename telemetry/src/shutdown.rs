//! The end of a pipeline, bounded: the SDK's own bounds do not hold against a collector that takes the connection and never answers.

use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tokio::sync::oneshot;

/// Why the last push was lost. The pipeline is stopped all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShutdownError {
    /// It did not end in time; it goes on in the background for as long as the process does.
    #[error("the last push did not end within {0:?}")]
    Timeout(Duration),
    /// It ended without success.
    #[error("the last push failed: {0}")]
    Failed(String),
}

/// Runs `work` on a thread of its own. Not on the runtime's blocking pool: dropping the runtime would wait for it.
pub(crate) async fn bounded(
    within: Duration,
    provider: SdkMeterProvider,
    work: fn(&SdkMeterProvider) -> OTelSdkResult,
) -> Result<(), ShutdownError> {
    let (done, ended) = oneshot::channel();
    spawn(move || {
        // Nobody waits any more when the bound has passed.
        done.send(work(&provider)).ok();
    });
    match tokio::time::timeout(within, ended).await {
        Ok(Ok(Ok(()) | Err(OTelSdkError::AlreadyShutdown))) => Ok(()),
        Ok(Ok(Err(error))) => Err(ShutdownError::Failed(error.to_string())),
        Ok(Err(_)) => Err(ShutdownError::Failed("its thread could not run".to_owned())),
        Err(_) => Err(ShutdownError::Timeout(within)),
    }
}

/// For a pipeline that nobody shut down.
pub(crate) fn in_background(provider: SdkMeterProvider) {
    spawn(move || {
        // Nobody is left to be told; the SDK logs a push that failed.
        provider.shutdown().ok();
    });
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    let spawned = std::thread::Builder::new().name("telemetry-shutdown".to_owned()).spawn(work);
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for the end of telemetry; the last figures are not pushed");
    }
}
