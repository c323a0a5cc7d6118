//! The boards' UIDs: a link leads to a board by its UID, and a UID never changes.

pub(super) const OVERVIEW: &str = "pulse-overview";
pub(super) const INGEST: &str = "pulse-ingest";
pub(super) const ALERTS: &str = "pulse-alerts";
pub(super) const DELIVERY: &str = "pulse-delivery";
pub(super) const DATABASE: &str = "pulse-database";
pub(super) const INTERNALS: &str = "pulse-internals";
pub(super) const COLLECTOR: &str = "pulse-collector";
