//! Metrics: their definitions, the handles that record, and how they are collected.

pub mod builtin;
pub(crate) mod collection;
pub(crate) mod complaint;
pub mod conventions;
pub(crate) mod definition;
pub(crate) mod handles;
pub(crate) mod instruments;
pub(crate) mod labels;
pub(crate) mod observed;
pub(crate) mod open;
pub(crate) mod snapshot;
