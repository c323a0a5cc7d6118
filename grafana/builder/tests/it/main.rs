//! Tests of the boards: the files are what the code makes, Grafana can show them, and Prometheus can answer every query.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod dashboards;
mod files;
mod links;
mod pages;
mod provisioning;
mod queries;
mod types;
mod used;
