//! Contract: alerts.
