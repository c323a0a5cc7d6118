//! The ops worker against the real store and real services, on a clock that the tests move.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what tests share")]

mod escalation;
mod fixture;
mod health_monitor;
mod jobs_expiry;
mod observed;
mod retention;
mod traced;
