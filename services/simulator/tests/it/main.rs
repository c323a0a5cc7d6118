//! The simulator against servers of its own: no Pulse needed.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod drive;
mod fleet;
mod load;
mod server;
mod setup;
mod sink;
