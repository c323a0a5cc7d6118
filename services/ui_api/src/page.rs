//! Lists in pages.

use pulse_store::{Cursor, Page, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Kind, Problem};

/// Rows on a page when the client does not say.
const LIMIT_DEFAULT: u32 = 50;
/// The most rows on a page.
const LIMIT_MAX: u32 = 500;
/// The longest cursor that is looked at, in bytes: ours are shorter.
const CURSOR_MAX_BYTES: usize = 1_024;

/// What a client asks for, checked.
pub(crate) fn request(limit: Option<u32>, after: Option<String>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::new(Kind::InvalidQuery, format!("limit must be 1 to {LIMIT_MAX}, not {limit}")));
    }
    if after.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_MAX_BYTES) {
        return Err(pulse_store::Error::Missing { what: "the cursor" }.into());
    }
    Ok(PageRequest { limit, after: after.map(Cursor) })
}

/// A page as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOf<T> {
    pub(crate) items: Vec<T>,
    /// Hand it back as `after` for the next page; null on the last
    next: Option<String>,
}

impl<T> PageOf<T> {
    /// A page of the store, each row as clients see it.
    pub(crate) fn of<U>(page: Page<U>, show: impl FnMut(U) -> T) -> Self {
        Self { items: page.items.into_iter().map(show).collect(), next: page.next.map(|cursor| cursor.0) }
    }
}

impl<T> From<Page<T>> for PageOf<T> {
    fn from(page: Page<T>) -> Self {
        Self::of(page, |row| row)
    }
}

/// All there is, where there are few.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListOf<T> {
    pub(crate) items: Vec<T>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_checked() {
        assert_eq!(request(None, None).unwrap().limit, 50);
        assert_eq!(request(Some(500), None).unwrap().limit, 500);
        for limit in [0, 501, u32::MAX] {
            assert!(request(Some(limit), None).is_err());
        }
        assert!(request(None, Some("x".repeat(1_025))).is_err());
    }
}
