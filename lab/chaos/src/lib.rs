//! Faults against a running Pulse: services in processes of their own, devices that report all the while, one thing that breaks, and at the
//! end an account of what became of every reading, alert, job and message.
//!
//! [`scenario`] has the faults, one module each, written once for two lengths: seconds in the tests, minutes in `tools/soak chaos`. A
//! [`world`] is a [`system`] under test with [`load`] on it; [`account`] sums up and judges. Everything is seen from outside: through the
//! API, `/metrics`, and what the receiver got.

pub mod account;
pub mod api;
pub mod database;
pub mod faked_clock;
pub mod load;
pub mod process;
pub mod queue;
pub mod registry;
pub mod scale;
pub mod scenario;
pub mod scrape;
pub mod service;
pub mod small_disk;
pub mod system;
pub mod wait;
pub mod world;
