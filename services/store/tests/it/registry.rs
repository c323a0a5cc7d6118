//! Contract: registry.
