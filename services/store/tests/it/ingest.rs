//! Contract: ingest.
