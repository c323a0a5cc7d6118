//! Connections that answer, and why there is none.
//!
//! sqlx's pool goes on trying a server that refuses connections for as long as a call may wait, and then says only that the wait has ended. And
//! it asks a connection that comes back whether it lives without a bound, so that a server gone without a word would keep its places.
//!
//! So the server itself is asked for the reason after a second of waiting: an outage is an error with its cause within a second or two, and
//! `pulse_db_pool_acquire_timeouts_total` counts only waits for other requests. Connections that come back or have idled are checked with a bound.

use std::fmt;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Postgres};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::{Error, Result};

/// A call that waits this long has the server looked at, and again after as long. A server that starts anew within it is waited for.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// How long a look may take.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How long an open connection may take to answer when nothing is asked of it.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(2);
/// A connection that answered this short a time ago is taken to be alive.
const TRUSTED: Duration = Duration::from_secs(5);
/// How long a connection may idle.
const IDLE_MAX: Duration = Duration::from_mins(10);
/// How long a connection is used: after a failover or a restart of a pooler, all have moved within this.
const LIFETIME_MAX: Duration = Duration::from_mins(30);

/// A pool's options: no wait of the pool's own is without a bound.
pub(super) fn pool_options(max_connections: u32, acquire_timeout: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(acquire_timeout)
        // Waits are measured and told to the observer: when the server is slow or away a line for each would be thousands.
        .acquire_slow_threshold(acquire_timeout)
        .idle_timeout(IDLE_MAX)
        .max_lifetime(LIFETIME_MAX)
        // One that died while it idled for a moment is noticed when its transaction begins, where trying the next one is safe.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { if meta.idle_for < TRUSTED { Ok(true) } else { answers(connection).await } })
        })
        .after_release(|connection, _| Box::pin(answers(connection)))
}

/// Whether an open connection can be used; an error when it does not even say that it cannot, and then it is not closed by saying goodbye.
async fn answers(connection: &mut PgConnection) -> sqlx::Result<bool> {
    match timeout(ANSWER_MAX, connection.ping()).await {
        Ok(answer) => Ok(answer.is_ok()),
        Err(_silent) => Err(sqlx::Error::Io(ErrorKind::TimedOut.into())),
    }
}

/// What those who wait for a pool's connections know of its server.
#[derive(Clone)]
pub(super) struct Server {
    options: PgConnectOptions,
    latest: Arc<Mutex<Option<(Instant, Found)>>>,
}

/// Without the options, which hold the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// What a look at the server found.
#[derive(Debug, Clone)]
enum Found {
    /// It lets us in: those who wait, wait for each other.
    There,
    /// It is starting or stopping, has no room, or says nothing: worth waiting for.
    Busy(Arc<sqlx::Error>),
    /// Nobody is there, or we are refused.
    Away(Arc<sqlx::Error>),
}

impl Server {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { options, latest: Arc::default() }
    }

    /// A connection of the pool's. Without one, the reason: that the wait has ended only when others hold them all.
    pub(super) async fn acquire(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>> {
        let mut acquiring = pin!(pool.acquire());
        let mut reason = None;
        loop {
            tokio::select! {
                biased;
                acquired = &mut acquiring => return match (acquired, reason) {
                    (Err(sqlx::Error::PoolTimedOut), Some(reason)) => Err(unavailable(reason)),
                    (acquired, _) => Ok(acquired?),
                },
                found = self.look_later() => match found {
                    Found::There => reason = None,
                    Found::Busy(error) => reason = Some(error),
                    Found::Away(error) => return Err(unavailable(error)),
                },
            }
        }
    }

    /// One look serves all who wait.
    async fn look_later(&self) -> Found {
        sleep(LOOK_AFTER).await;
        let mut latest = self.latest.lock().await;
        if let Some((at, found)) = &*latest
            && at.elapsed() < LOOK_AFTER
        {
            return found.clone();
        }
        let found = look(&self.options).await;
        *latest = Some((Instant::now(), found.clone()));
        found
    }
}

fn unavailable(reason: Arc<sqlx::Error>) -> Error {
    Error::Unavailable(reason.into())
}

async fn look(options: &PgConnectOptions) -> Found {
    let looking = async { options.connect().await?.close().await };
    match timeout(LOOK_MAX, looking).await {
        Ok(Ok(())) => Found::There,
        Ok(Err(error)) if is_passing(&error) => Found::Busy(error.into()),
        Ok(Err(error)) => Found::Away(error.into()),
        Err(_silent) => Found::Busy(sqlx::Error::Io(ErrorKind::TimedOut.into()).into()),
    }
}

/// Whether a server that is there says that it has no room (class 53) or is starting or stopping (class 57).
fn is_passing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|failure| failure.code());
    code.is_some_and(|code| code.starts_with("53") || code.starts_with("57"))
}
