//! Devices to evaluate: claimed and committed in a handful of statements.
