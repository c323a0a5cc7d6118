//! Jobs to deliver.
