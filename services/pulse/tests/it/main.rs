//! The program as its users have it: a child process, its ports, its files, its exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod admin;
mod api;
mod chain;
mod cli;
mod collector_config;
mod compose;
mod contract;
mod crash;
mod demo;
mod docs;
mod ending;
mod faults;
mod otlp;
mod parity;
mod postgres;
mod process;
mod rules;
mod running;
mod stack;
mod traced;
