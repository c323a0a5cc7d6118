//! Lists in pages: a cursor that the client hands back as it came.

use serde::{Deserialize, Serialize};

/// Where a list goes on: opaque to clients. It holds the sort key of the last row of the page before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows, at least 1.
    pub limit: u32,
    /// None: from the start. One that this list did not make is answered with an empty `Error::Missing { what: "the cursor" }`.
    pub after: Option<Cursor>,
}

/// Rows, and where to go on when there are more.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Cursor>,
}
