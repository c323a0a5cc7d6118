//! Rows to domain values: names are checked again on the way out.

use pulse_domain::Timestamp;
use pulse_domain::payload::Payload;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::JsonRawValue;
use sqlx::{Decode, Postgres, Row as _, Type};
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
    row: &'r PgRow,
    what: &'static str,
}

impl<'r> Fields<'r> {
    pub(super) fn new(row: &'r PgRow, what: &'static str) -> Self {
        Self { row, what }
    }

    fn corrupt(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Corrupt { what: self.what, source: source.into() }
    }

    pub(super) fn get<T: Decode<'r, Postgres> + Type<Postgres>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|error| self.corrupt(error))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.get(column)
    }

    pub(super) fn time_option(&self, column: &'static str) -> Result<Option<Timestamp>> {
        self.get(column)
    }

    pub(super) fn id(&self, column: &'static str) -> Result<Uuid> {
        self.get(column)
    }

    /// A bigint that the domain holds in fewer bits.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T> {
        let found: i64 = self.get(column)?;
        T::try_from(found).map_err(|_| self.corrupt(Unexpected { column, found: found.to_string() }))
    }

    /// An integer, in the same way.
    pub(super) fn small_number<T: TryFrom<i32>>(&self, column: &'static str) -> Result<T> {
        let found: i32 = self.get(column)?;
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

    /// The text of a json column.
    pub(super) fn json_text(&self, column: &'static str) -> Result<&'r str> {
        Ok(self.get::<&'r JsonRawValue>(column)?.get())
    }

    pub(super) fn payload(&self, column: &'static str) -> Result<Payload> {
        Ok(self.get::<&'r JsonRawValue>(column)?.to_owned().into())
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        serde_json::from_str(self.json_text(column)?).map_err(|error| self.corrupt(error))
    }
}

/// JSON for a statement's argument, which takes it as text and casts it.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Rejected(error.into()))
}

/// An instant that is `wait` after another; the end of time where there is none.
pub(super) fn after(at: Timestamp, wait: std::time::Duration) -> Timestamp {
    chrono::TimeDelta::from_std(wait).ok().and_then(|wait| at.checked_add_signed(wait)).unwrap_or(Timestamp::MAX_UTC)
}
