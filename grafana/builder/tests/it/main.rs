//! What a board is held to: the files are what the code makes, Grafana can show them, and every query is one that Prometheus can answer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod dashboards;
mod files;
mod links;
mod pages;
mod provisioning;
mod queries;
mod types;
mod used;
