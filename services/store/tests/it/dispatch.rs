//! Contract: dispatch.
