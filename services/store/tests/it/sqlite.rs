//! Contract: sqlite.
