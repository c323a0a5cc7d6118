//! Alerts as people and health checks handle them.
