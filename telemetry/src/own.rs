//! What the kit, the process and the runtime say of themselves.

pub(crate) mod kit;
#[cfg(target_os = "linux")]
pub(crate) mod process;
pub(crate) mod runtime;
