//! The end of a pipeline, bounded: the SDK's own bounds do not hold against a collector that takes the connection and never answers.

use std::time::Duration;

use futures::future::join_all;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;

/// Why the last push was lost. The pipelines are stopped all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShutdownError {
    /// It did not end in time; it goes on in the background for as long as the process does.
    #[error("the last push did not end within {0:?}")]
    Timeout(Duration),
    /// It ended without success.
    #[error("the last push failed: {0}")]
    Failed(String),
}

/// The pipelines of one service.
#[derive(Debug, Clone)]
pub(crate) struct Providers {
    pub(crate) metrics: SdkMeterProvider,
    pub(crate) traces: Option<SdkTracerProvider>,
    pub(crate) logs: Option<SdkLoggerProvider>,
}

type Work = Box<dyn FnOnce() -> OTelSdkResult + Send>;

impl Providers {
    /// Pushes a last time and ends, all signals at once.
    ///
    /// # Errors
    /// The first that did not end well.
    pub(crate) async fn shutdown(&self, within: Duration) -> Result<(), ShutdownError> {
        all(within, self.each(|metrics| metrics.shutdown(), |traces| traces.shutdown(), |logs| logs.shutdown())).await
    }

    /// Pushes now.
    #[cfg(feature = "testing")]
    pub(crate) async fn flush(&self, within: Duration) -> Result<(), ShutdownError> {
        all(within, self.each(|metrics| metrics.force_flush(), |traces| traces.force_flush(), |logs| logs.force_flush())).await
    }

    /// For pipelines that nobody shut down.
    pub(crate) fn shutdown_in_background(&self) {
        for work in self.each(|metrics| metrics.shutdown(), |traces| traces.shutdown(), |logs| logs.shutdown()) {
            spawn(move || {
                // Nobody is left to be told; the SDK logs a push that failed.
                work().ok();
            });
        }
    }

    fn each(
        &self,
        metrics: fn(&SdkMeterProvider) -> OTelSdkResult,
        traces: fn(&SdkTracerProvider) -> OTelSdkResult,
        logs: fn(&SdkLoggerProvider) -> OTelSdkResult,
    ) -> Vec<Work> {
        let provider = self.metrics.clone();
        let mut works: Vec<Work> = vec![Box::new(move || metrics(&provider))];
        if let Some(provider) = self.traces.clone() {
            works.push(Box::new(move || traces(&provider)));
        }
        if let Some(provider) = self.logs.clone() {
            works.push(Box::new(move || logs(&provider)));
        }
        works
    }
}

async fn all(within: Duration, works: Vec<Work>) -> Result<(), ShutdownError> {
    join_all(works.into_iter().map(|work| bounded(within, work))).await.into_iter().collect()
}

/// Runs `work` on a thread of its own. Not on the runtime's blocking pool: dropping the runtime would wait for it.
async fn bounded(within: Duration, work: Work) -> Result<(), ShutdownError> {
    let (done, ended) = oneshot::channel();
    spawn(move || {
        // Nobody waits any more when the bound has passed.
        done.send(work()).ok();
    });
    match tokio::time::timeout(within, ended).await {
        Ok(Ok(Ok(()) | Err(OTelSdkError::AlreadyShutdown))) => Ok(()),
        Ok(Ok(Err(error))) => Err(ShutdownError::Failed(error.to_string())),
        Ok(Err(_)) => Err(ShutdownError::Failed("its thread could not run".to_owned())),
        Err(_) => Err(ShutdownError::Timeout(within)),
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    let spawned = std::thread::Builder::new().name("telemetry-shutdown".to_owned()).spawn(work);
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for the end of telemetry; the last figures are not pushed");
    }
}
