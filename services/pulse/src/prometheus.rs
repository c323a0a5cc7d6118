//! `/metrics` at the address that `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT` name, besides the services' own.

use std::net::SocketAddr;

use anyhow::Context as _;
use pulse_runtime::{Error, Listeners, Shutdown, bind};
use pulse_telemetry::Telemetry;

use crate::ending::DRAIN;

/// Listens there, `offset` ports further on for services that share a process; the future serves until shutdown. Where neither variable is
/// set it only waits.
pub(crate) async fn serve(
    telemetry: &Telemetry,
    offset: u16,
    shutdown: Shutdown,
) -> anyhow::Result<impl Future<Output = Result<(), Error>> + Send + use<>> {
    let listener = match telemetry.prometheus_address() {
        Some((host, port)) => Some(bind(telemetry.service(), resolve(host, port, offset).await?).await?),
        None => None,
    };
    let telemetry = telemetry.clone();
    Ok(async move {
        match listener {
            Some(public) => pulse_runtime::serve(Listeners { public, admin: None }, &telemetry, axum::Router::new(), shutdown, DRAIN).await,
            None => {
                shutdown.triggered().await;
                Ok(())
            }
        }
    })
}

async fn resolve(host: &str, port: u16, offset: u16) -> anyhow::Result<SocketAddr> {
    let port = port.checked_add(offset).context("the ports end at 65535: choose a lower OTEL_EXPORTER_PROMETHEUS_PORT")?;
    let wrong = || format!("OTEL_EXPORTER_PROMETHEUS_HOST is {host:?}, but it has to be an address or a name of this machine");
    tokio::net::lookup_host((host, port)).await.with_context(wrong)?.next().with_context(wrong)
}
