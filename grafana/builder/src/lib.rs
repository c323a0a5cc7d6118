//! What Pulse's dashboards show, said once. From it come the files that Grafana reads ([`files`]), a check of every query against a running
//! Prometheus ([`live`]), and pages that show the same panels without Grafana ([`report`]).

pub mod board;
pub mod boards;
pub mod catalog;
pub mod files;
pub mod layout;
pub mod live;
pub mod panel;
pub mod promql;
pub mod render;
pub mod report;
pub mod subject;
pub mod unit;
pub mod variable;
