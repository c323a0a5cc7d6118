//! Contract: delivery.
