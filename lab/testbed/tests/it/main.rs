//! The servers as the tests of other crates have them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod cluster;
mod gone;
mod network;
mod pooler;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Row as _};

/// One try, without a password in what is shown when it fails.
async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    url.parse::<PgConnectOptions>()?.connect().await
}

/// What a query finds. Not prepared by a name, which behind a pooler would be on one connection and its user on another.
async fn number(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query(query).persistent(false).fetch_one(connection).await.unwrap().get(0)
}
