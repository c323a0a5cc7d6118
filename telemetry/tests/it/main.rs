//! The kit as a service sees it: against real receivers, and every trap of the libraries below tried.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its functions too")]

mod admin;
mod budget;
mod budget_idle;
mod budget_scale;
mod conventions;
mod exposition;
mod labels;
mod logs;
mod observed;
mod operation;
mod otlp;
mod outside;
mod pool;
mod process;
mod queue;
mod receiver;
mod sampling;
mod series;
mod shutdown;
mod tls;
mod trace;

use pulse_telemetry::Telemetry;

/// A service's telemetry with these `OTEL_*` variables and no others.
fn telemetry_with(service: &'static str, variables: Vec<(&'static str, String)>) -> Telemetry {
    let lookup = move |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    Telemetry::builder(service).namespace("pulse").version("1.2.3").env(lookup).init().unwrap()
}

/// Without OTLP.
fn telemetry(service: &'static str) -> Telemetry {
    telemetry_with(service, Vec::new())
}
