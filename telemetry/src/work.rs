//! What a service does and what it does it with: operations, queues, the database pool, and whether it is ready.

pub(crate) mod operation;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod readiness;
