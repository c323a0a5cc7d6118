//! Spans: how they are made, carried on from process to process, and sampled.

#[cfg(feature = "testing")]
pub(crate) mod kept;
pub mod propagation;
pub(crate) mod sampling;
pub(crate) mod span;
