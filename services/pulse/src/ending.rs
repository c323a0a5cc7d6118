//! How services end: they drain within a bound, then telemetry sends its last values and the pools close.

use std::time::Duration;

use pulse_runtime::Deps;

/// How long the services have to end once asked; with [`CLOSE`] it stays within ten seconds.
pub(crate) const DRAIN: Duration = Duration::from_secs(7);
/// How long telemetry has to send its last values.
const CLOSE: Duration = Duration::from_secs(2);

/// Sends the last values and closes the pools.
pub(crate) async fn close(deps: &[Deps]) {
    let all = deps.iter().map(|deps| async {
        let pushed = deps.telemetry.shutdown(CLOSE).await;
        if tokio::time::timeout(Duration::from_secs(1), deps.store.close()).await.is_err() {
            tracing::warn!(service = deps.telemetry.service(), "the database's pool did not close in time");
        }
        pushed.err().map(|error| (deps.telemetry.service(), error))
    });
    let failed: Vec<_> = futures::future::join_all(all).await.into_iter().flatten().collect();
    // One collector that is away is one line, however many services it is away from.
    if let [(_, error), ..] = failed.as_slice() {
        let services: Vec<_> = failed.iter().map(|(service, _)| *service).collect();
        tracing::warn!(?services, %error, "the last telemetry could not be pushed");
    }
}
