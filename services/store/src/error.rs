//! What can go wrong in a store.

use std::time::Duration;

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::PgDatabaseError;

use crate::{postgres, sqlite};

/// A store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A store's failure. Texts of the database stay in the source: they are for logs, never for clients.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, is busy, full or shut; the same call may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The change meets something that is there already, for example a second device with the same id.
    #[error("{what} exists already")]
    Conflict { what: &'static str },
    /// The change names something that is not there, for example a route's integration.
    #[error("{what} does not exist")]
    Missing { what: &'static str },
    /// What the database holds does not read as what it should be.
    #[error("{what} in the database cannot be read")]
    Corrupt {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A newer version of Pulse has brought the schema where this one cannot work on it.
    #[error("the database's schema has become a newer version's")]
    Schema(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A defect of ours: a statement that the database refuses.
    #[error("the database refused a statement")]
    Rejected(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The name of the variant: a closed set, for what counts or finds failures by kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Conflict { .. } => "conflict",
            Self::Missing { .. } => "missing",
            Self::Corrupt { .. } => "corrupt",
            Self::Schema(_) => "schema_newer",
            Self::Rejected(_) => "rejected",
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Waits for a call no longer than this; one that takes longer is given up and counts as unavailable. What it has done may stay done.
///
/// # Errors
/// The call's own, or that it took too long.
pub async fn within<T>(bound: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(bound, call).await.unwrap_or_else(|elapsed| Err(Error::Unavailable(elapsed.into())))
}

/// What a database's own code says of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another attempt may not meet it.
    Transient,
    /// What is stored is damaged.
    Damage,
    /// The statement is at fault.
    Ours,
}

/// Whether a failure is one that another attempt may not meet.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    use sqlx::Error as Sqlx;
    match error {
        Sqlx::Io(_) | Sqlx::Tls(_) | Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::WorkerCrashed | Sqlx::BeginFailed => true,
        // A connection that ended in the middle of an answer.
        Sqlx::Protocol(_) => true,
        Sqlx::Database(failure) => trouble(&**failure) == Trouble::Transient,
        _ => false,
    }
}

/// Asks the database's own list.
fn trouble(failure: &dyn DatabaseError) -> Trouble {
    match failure.try_downcast_ref::<PgDatabaseError>() {
        Some(failure) => postgres::trouble(failure.code()),
        None => failure.code().and_then(|code| code.parse().ok()).map_or(Trouble::Ours, |code: i32| sqlite::trouble(code & 0xff)),
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sqlx;
        match &error {
            transient if is_transient(transient) => Self::Unavailable(error.into()),
            Sqlx::ColumnDecode { .. } | Sqlx::Decode(_) | Sqlx::ColumnNotFound(_) | Sqlx::TypeNotFound { .. } => {
                Self::Corrupt { what: "a row", source: error.into() }
            }
            Sqlx::Database(failure) => match failure.kind() {
                ErrorKind::UniqueViolation => Self::Conflict { what: "a row with this key" },
                ErrorKind::ForeignKeyViolation => Self::Missing { what: "what the row belongs to" },
                _ => match trouble(&**failure) {
                    Trouble::Damage => Self::Corrupt { what: "a page", source: error.into() },
                    Trouble::Transient | Trouble::Ours => Self::Rejected(error.into()),
                },
            },
            _ => Self::Rejected(error.into()),
        }
    }
}

impl Error {
    /// Names what exists already and what is missing, where the database only knows that something is.
    pub(crate) fn naming(self, exists: &'static str, missing: &'static str) -> Self {
        match self {
            Self::Conflict { .. } => Self::Conflict { what: exists },
            Self::Missing { .. } => Self::Missing { what: missing },
            other => other,
        }
    }
}
