//! The boards, one module each. A board reads from top to bottom: is it working, and if not, where does it fail or wait?

pub mod alerts;
pub mod collector;
pub mod database;
pub mod delivery;
mod fleet;
pub mod ingest;
pub mod internals;
pub mod overview;
mod promises;
mod queue_age;
mod uid;

use crate::board::Board;

/// All of them.
pub fn all() -> Vec<Board> {
    vec![overview::board(), ingest::board(), alerts::board(), delivery::board(), database::board(), internals::board(), collector::board()]
}
