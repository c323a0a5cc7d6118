//! From what sqlx and SQLite say to what a caller can act on.

use sqlx::error::ErrorKind;

use crate::Error;

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>) that another attempt may not meet.
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

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sqlx;
        match &error {
            Sqlx::Io(_) | Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::WorkerCrashed | Sqlx::BeginFailed => {
                Self::Unavailable(error.into())
            }
            Sqlx::ColumnDecode { .. } | Sqlx::Decode(_) | Sqlx::ColumnNotFound(_) | Sqlx::TypeNotFound { .. } => {
                Self::Corrupt { what: "a row", source: error.into() }
            }
            Sqlx::Database(failure) => match failure.kind() {
                ErrorKind::UniqueViolation => Self::Conflict { what: "a row with this key" },
                ErrorKind::ForeignKeyViolation => Self::Missing { what: "what the row belongs to" },
                _ => match primary_code(&error) {
                    Some(code) if TRANSIENT_CODES.contains(&code) => Self::Unavailable(error.into()),
                    Some(code) if DAMAGE_CODES.contains(&code) => Self::Corrupt { what: "a page", source: error.into() },
                    _ => Self::Rejected(error.into()),
                },
            },
            _ => Self::Rejected(error.into()),
        }
    }
}

impl Error {
    /// Names what exists already and what is missing, where the database only knows that something is.
    pub(super) fn naming(self, exists: &'static str, missing: &'static str) -> Self {
        match self {
            Self::Conflict { .. } => Self::Conflict { what: exists },
            Self::Missing { .. } => Self::Missing { what: missing },
            other => other,
        }
    }
}
