//! The faults, one module each. Every scenario says what a user sees and what must hold; all end with an account that adds up.

pub mod clock;
pub mod disk;
pub mod kill;
pub mod replicas;
pub mod rolling;
pub mod sink;
