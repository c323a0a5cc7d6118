//! What a board is held to: the files are what the code makes, Grafana can show them, and every query is one that Prometheus can answer.

mod dashboards;
mod files;
mod links;
mod pages;
mod queries;
mod used;
