//! What a board should show and does not.

use std::fmt;

use super::prometheus;

/// Something that a board should show and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The board's uid.
    pub board: &'static str,
    /// The panel's title, or the variable's name.
    pub panel: String,
    /// As it was asked.
    pub query: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It was answered with no value, and a healthy system has one.
    Empty,
    /// A series has no such label, which its name in the legend needs.
    Unnamed(String),
    /// It was not answered.
    Failed(String),
}

impl Problem {
    /// Of a query that was not answered: the whole chain of reasons.
    pub(super) fn failed(error: &prometheus::Error) -> Self {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            why = format!("{why}: {error}");
            source = error.source();
        }
        Self::Failed(why)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no data"),
            Self::Unnamed(label) => write!(f, "no label {label}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, panel, query, problem } = self;
        write!(f, "{board}: {panel}: {problem} for {query}")
    }
}
