//! Contract: ops.
