//! Readings on their way in, and as history.
