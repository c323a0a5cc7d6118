//! The dispatcher against the real store: nothing lost, nothing twice, and numbers that say so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what tests share")]

mod fixture;
mod guarantees;
mod observed;
mod routing;
mod traced;
