//! Tenants and what they own, a module for each.

pub(super) mod rules;
