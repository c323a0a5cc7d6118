//! Reads the workspace's sources and finds who imports whom, so that tests can hold the tree to its layout.
//!
//! Imports are followed to the file that defines the item, through re-exports. Only paths are read: a method that is defined in another
//! file than its type counts for nothing, and neither does test code. `cargo modules` knows more and brings rust-analyzer with it.

mod circles;
mod imports;
mod module;
mod tree;

pub use circles::{Circle, circles};
pub use imports::{Import, imports};
pub use module::Module;
pub use tree::{Crate, ReadError, crates, sources};
