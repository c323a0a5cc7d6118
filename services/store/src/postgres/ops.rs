//! The chores of the ops worker.
