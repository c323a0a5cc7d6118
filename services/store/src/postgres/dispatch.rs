//! Events to dispatch.
