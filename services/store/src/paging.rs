//! Cursors: the sort key of a page's last row, in hex, behind a letter that says which list made it.

use uuid::Uuid;

use crate::{Cursor, Error, Page, PageRequest, Result};

/// A list: the letter of its cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum List {
    Tenants = b't',
    Devices = b'd',
    Readings = b'r',
    Rules = b'u',
    Alerts = b'a',
    Integrations = b'i',
    Routes = b'o',
    Policies = b'p',
    Tokens = b'k',
    Jobs = b'j',
}

fn encode(list: List, key: &[u8]) -> Cursor {
    Cursor(hex::encode([&[list as u8], key].concat()))
}

fn decode(list: List, page: &PageRequest) -> Result<Option<Vec<u8>>> {
    let Some(cursor) = &page.after else { return Ok(None) };
    match hex::decode(&cursor.0).as_deref() {
        Ok([letter, key @ ..]) if *letter == list as u8 => Ok(Some(key.to_vec())),
        _ => Err(BAD_CURSOR),
    }
}

const BAD_CURSOR: Error = Error::Missing { what: "the cursor" };

/// A key that a list is sorted by.
pub(crate) trait Key: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Key for Uuid {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl Key for i64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

/// The key to go on after; none at the start.
pub(crate) fn after<K: Key>(list: List, page: &PageRequest) -> Result<Option<K>> {
    decode(list, page)?.map(|bytes| K::from_bytes(&bytes).ok_or(BAD_CURSOR)).transpose()
}

/// How many rows to ask for: one more than the page holds says whether there is another page.
pub(crate) fn rows_wanted(page: &PageRequest) -> i64 {
    i64::from(page.limit.max(1)) + 1
}

/// The page of rows that were asked for with [`rows_wanted`].
pub(crate) fn page<T, K: Key>(list: List, request: &PageRequest, mut items: Vec<T>, key: impl Fn(&T) -> K) -> Page<T> {
    let limit = usize::try_from(request.limit.max(1)).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| encode(list, &key(last).to_bytes()));
    Page { items, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(limit: u32, after: Option<&str>) -> PageRequest {
        PageRequest { limit, after: after.map(|text| Cursor(text.to_owned())) }
    }

    #[test]
    fn a_cursor_goes_on_after_the_last_row_and_only_in_its_own_list() {
        let first = page(List::Readings, &request(2, None), vec![9, 8, 7], |id: &i64| *id);
        assert_eq!(first.items, [9, 8]);
        let next = first.next.unwrap();
        assert_eq!(after::<i64>(List::Readings, &request(2, Some(&next.0))).unwrap(), Some(8));
        assert!(after::<i64>(List::Jobs, &request(2, Some(&next.0))).is_err());
    }

    #[test]
    fn the_last_page_has_no_cursor_even_when_it_is_full() {
        assert_eq!(page(List::Readings, &request(2, None), vec![9, 8], |id: &i64| *id).next, None);
        assert_eq!(page(List::Readings, &request(0, None), vec![9, 8], |id: &i64| *id).items, [9]);
    }

    #[test]
    fn a_malformed_cursor_is_missing() {
        for bad in ["", "zz", "é", "72", "7200", "72000000000000000000"] {
            let error = after::<i64>(List::Readings, &request(1, Some(bad))).unwrap_err();
            assert!(matches!(error, Error::Missing { what: "the cursor" }), "{bad}");
        }
    }
}
