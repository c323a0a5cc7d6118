//! Pulse's pure core: what a fleet is, what its readings mean, when an alert opens and closes, who hears of it, and when a delivery is
//! tried again.
//!
//! Nothing here does I/O, reads a clock or knows a runtime: time and randomness come in as arguments, so every rule about alerts is
//! tested as a plain function. Ids are the one exception: they are drawn here (`Id::generate`), because a type that owns its id cannot
//! be half made.

pub mod alert;
pub mod credential;
pub mod device;
pub mod escalation;
pub mod evaluation;
pub mod ids;
pub mod integration;
pub mod job;
pub mod message;
pub mod payload;
pub mod reading;
pub mod retry;
pub mod route;
pub mod rule;
pub mod trace;

/// An instant in UTC. The store keeps microseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
