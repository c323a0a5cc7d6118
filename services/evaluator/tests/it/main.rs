//! The evaluator on a real store with real telemetry: readings in, alerts and events and numbers out.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod fixture;
mod guarantees;
mod judging;
mod observed;
mod tenants;
mod traced;
