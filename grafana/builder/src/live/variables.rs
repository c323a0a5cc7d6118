//! A board's variables as Grafana fills them in when all is chosen.

use crate::board::Board;

use super::finding::{Finding, Problem};
use super::prometheus::{Prometheus, Times};
use super::settings::Settings;

/// A query with values for its variables.
pub(super) fn filled(query: &str, settings: &Settings) -> String {
    query
        .replace("$__rate_interval", &format!("{}s", settings.rate_interval.as_secs()))
        .replace("$transport", &settings.transport)
        .replace("$job", ".+")
        .replace("$instance", ".+")
        .replace("$service", ".+")
        .replace("$tenant", ".+")
}

/// Variables that offer nothing to choose.
pub(super) async fn findings(board: &Board, prometheus: &Prometheus, settings: &Settings, times: &Times) -> Vec<Finding> {
    let mut findings = Vec::new();
    for variable in board.variables() {
        let Some(asks) = variable.asks(board.subject) else { continue };
        let query = filled(&asks.series, settings);
        let problem = match prometheus.label_values(asks.label, &query, times).await {
            Ok(values) if values.is_empty() => Problem::Empty,
            Ok(_) => continue,
            Err(error) => Problem::failed(&error),
        };
        findings.push(Finding { board: board.uid, panel: format!("variable {}", variable.name()), query, problem });
    }
    findings
}
