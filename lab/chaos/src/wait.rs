//! Waiting until something holds.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until there is something to be found; what the last look said instead is the error at the bound.
pub async fn until<T, F: AsyncFnMut() -> Result<T, String>>(within: Duration, what: &str, mut look: F) -> Result<T> {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(why) if started.elapsed() > within => bail!("{what}: not after {within:?}: {why}"),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
