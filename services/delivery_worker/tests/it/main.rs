//! Delivery against real receivers and the real store.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod blocked;
mod channels;
mod isolation;
mod leases;
mod metrics;
mod receiver;
mod retries;
mod shutdown;
mod tls;
mod traced;
mod world;
