//! The faults, one module each. Every scenario says what a user sees and what must hold; all end with an account that adds up.

pub mod kill;
pub mod sink;
