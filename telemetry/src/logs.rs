//! Log records: which service each belongs to, and what happens when there are too many.

pub(crate) mod burst;
pub(crate) mod record;
