//! Real servers for tests, each of the test process's own: nothing needs to run beforehand, and nothing is left when the process has ended,
//! however it ended.
//!
//! ```no_run
//! # async fn example() {
//! use pulse_testbed::postgres::Cluster;
//!
//! let cluster = Cluster::shared().await;
//! let database = cluster.database_from("pulse", async |url: String| { /* migrate it, once a process */ }).await;
//! let url = database.url();
//! # }
//! ```
//!
//! A dev-dependency of the others; it knows none of them. A server that is missing or does not start is a failed test, and so everything
//! here panics with what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot have its server fails, and says why")]

mod account;
mod keeper;
pub mod pgbouncer;
mod ports;
pub mod postgres;
pub mod proxy;

pub use ports::free_port;
