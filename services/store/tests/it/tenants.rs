//! Contract: tenants.
