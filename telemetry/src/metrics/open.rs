//! Open labels (`tenant_id`): each value has series of its own within a budget.

pub(crate) mod budget;
pub(crate) mod counter;
mod holder;
pub(crate) mod reserved;
mod series;
