//! What can go wrong in a store.

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
            Self::Rejected(_) => "rejected",
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
