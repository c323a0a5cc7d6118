//! What is asked of which Prometheus.

use std::time::Duration;

use crate::variable::TRANSPORTS;

/// What is asked of which Prometheus.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its base address, for example `http://127.0.0.1:9090`.
    pub prometheus: String,
    /// The route into Prometheus whose series are asked for.
    pub transport: String,
    /// The time shown, up to now.
    pub over: Duration,
    /// What `$__rate_interval` stands for: four scrapes, as Grafana has it.
    pub rate_interval: Duration,
    /// Only the boards with these uids; none: all.
    pub boards: Vec<String>,
}

impl Settings {
    /// The last half hour of what is scraped, on every board.
    pub fn new(prometheus: impl Into<String>) -> Self {
        Self {
            prometheus: prometheus.into(),
            transport: TRANSPORTS[0].into(),
            over: Duration::from_secs(30 * 60),
            rate_interval: Duration::from_secs(60),
            boards: Vec::new(),
        }
    }
}
