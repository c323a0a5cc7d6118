//! SIGINT and SIGTERM ask for a drain; a second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};

use crate::Shutdown;

/// The exit code after a second signal, as a shell reports SIGINT.
const IMPATIENT: i32 = 130;

/// Triggers `shutdown` on the first SIGINT or SIGTERM. A second one ends the process with code 130.
///
/// # Errors
/// When the process may not listen for signals.
pub fn trigger_on_signals(shutdown: Shutdown) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for count in 1.. {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            if count > 1 {
                tracing::warn!(signal = name, "asked to stop again: ending at once");
                std::process::exit(IMPATIENT);
            }
            tracing::info!(signal = name, "asked to stop: draining");
            shutdown.trigger();
        }
    });
    Ok(())
}
