//! Rows to domain values and back: times as microseconds, ids as 16 bytes, names checked again on the way out.

use pulse_domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Sqlite, Type};
use uuid::Uuid;

use crate::{Backlog, Error, Result};

/// A value that is not what the schema's writer would have written.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds {found:?}")]
struct Unexpected {
    column: &'static str,
    found: String,
}

/// A row being read; failures name what it was to be.
#[derive(Clone, Copy)]
pub(super) struct Fields<'r> {
    row: &'r SqliteRow,
    what: &'static str,
}

impl<'r> Fields<'r> {
    pub(super) fn new(row: &'r SqliteRow, what: &'static str) -> Self {
        Self { row, what }
    }

    fn corrupt(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Corrupt { what: self.what, source: source.into() }
    }

    pub(super) fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|error| self.corrupt(error))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.as_time(column, self.get(column)?)
    }

    pub(super) fn time_option(&self, column: &'static str) -> Result<Option<Timestamp>> {
        self.get::<Option<i64>>(column)?.map(|micros| self.as_time(column, micros)).transpose()
    }

    fn as_time(&self, column: &'static str, micros: i64) -> Result<Timestamp> {
        Timestamp::from_timestamp_micros(micros).ok_or_else(|| self.corrupt(Unexpected { column, found: micros.to_string() }))
    }

    pub(super) fn id(&self, column: &'static str) -> Result<Uuid> {
        Uuid::from_slice(self.get(column)?).map_err(|error| self.corrupt(error))
    }

    /// A number that the domain holds in fewer bits.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T> {
        let found: i64 = self.get(column)?;
        T::try_from(found).map_err(|_| self.corrupt(Unexpected { column, found: found.to_string() }))
    }

    /// Text that the domain checks.
    pub(super) fn text<T: TryFrom<String, Error: std::error::Error + Send + Sync + 'static>>(&self, column: &'static str) -> Result<T> {
        T::try_from(self.get(column)?).map_err(|error| self.corrupt(error))
    }

    pub(super) fn text_option<T: TryFrom<String, Error: std::error::Error + Send + Sync + 'static>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>> {
        self.get::<Option<String>>(column)?.map(|text| T::try_from(text).map_err(|error| self.corrupt(error))).transpose()
    }

    /// One of a closed set, by name.
    pub(super) fn one_of<T: Copy>(&self, column: &'static str, all: &[T], name: fn(T) -> &'static str) -> Result<T> {
        let found: &str = self.get(column)?;
        all.iter()
            .copied()
            .find(|candidate| name(*candidate) == found)
            .ok_or_else(|| self.corrupt(Unexpected { column, found: found.to_owned() }))
    }

    /// A queue's `depth` and `oldest_at`.
    pub(super) fn backlog(&self) -> Result<Backlog> {
        Ok(Backlog { depth: self.number("depth")?, oldest_at: self.time_option("oldest_at")? })
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        serde_json::from_str(self.get(column)?).map_err(|error| self.corrupt(error))
    }
}

/// JSON for a statement's argument.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Rejected(error.into()))
}

/// An instant as it is kept.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

/// An instant that is `wait` after another, as it is kept.
pub(super) fn micros_after(at: Timestamp, wait: std::time::Duration) -> i64 {
    micros(at).saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

/// An id as it is kept.
pub(super) fn blob(id: &Uuid) -> &[u8] {
    id.as_bytes()
}
