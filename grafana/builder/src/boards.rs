//! The boards, one module each. A board reads from top to bottom: is it working, and if not, where does it fail or wait?

pub mod alerts;
pub mod collector;
pub mod database;
pub mod delivery;
pub mod ingest;
pub mod internals;
pub mod overview;

use crate::board::Board;
use crate::promql::{Expr, metric, since};

/// All of them.
pub fn all() -> Vec<Board> {
    vec![overview::board(), ingest::board(), alerts::board(), delivery::board(), database::board(), internals::board(), collector::board()]
}

/// The promise to users: 99 in 100 messages arrive within this time. docs/telemetry.md has the reasons, slo.yml the alerts.
const LATENCY_WARN: f64 = 10.0;
const LATENCY_BAD: f64 = 30.0;

/// Seconds since an operation's last success, where it has ever had one.
fn since_success(service: &'static str, operation: &'static str) -> Expr {
    since(crate::promql::max(
        Expr::from(metric("pulse_processing_last_success_timestamp_seconds").is("service", service).is("operation", operation)).above(0.0),
    ))
}
