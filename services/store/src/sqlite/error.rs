//! From what sqlx and SQLite say to what a caller can act on.

use crate::error::Trouble;

const TRANSIENT_CODES: [i32; 9] = [
    5,  // BUSY
    6,  // LOCKED
    7,  // NOMEM
    8,  // READONLY: the disk was mounted so, or the folder's rights changed
    9,  // INTERRUPT
    10, // IOERR
    13, // FULL
    14, // CANTOPEN
    15, // PROTOCOL: a race on the log's locks
];

/// CORRUPT and NOTADB.
const DAMAGE_CODES: [i32; 2] = [11, 26];

/// The primary result code of a failure that SQLite itself reports.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// What a primary result code says of a failure.
pub(crate) fn trouble(code: i32) -> Trouble {
    if TRANSIENT_CODES.contains(&code) {
        Trouble::Transient
    } else if DAMAGE_CODES.contains(&code) {
        Trouble::Damage
    } else {
        Trouble::Ours
    }
}
