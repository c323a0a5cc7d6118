//! The service as its clients see it: the real router over TCP, the real store in a file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what tests share")]

mod api;
mod batch_door;
mod durability;
mod garbage;
mod isolation;
mod limits;
mod openapi;
mod service;
mod single_door;
mod traced;
mod watched;
