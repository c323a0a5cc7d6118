//! The domain as its users see it: what comes of readings and rules. Everything here is plain functions on plain values.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, reason = "a test may fail")]

mod durations;
mod fleet;
mod heartbeats;
mod properties;
mod stored_forms;
mod thresholds;
