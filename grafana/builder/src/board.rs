//! A board: a name, and rows of panels under a question each, read from top to bottom.

use crate::panel::Panel;
use crate::subject::Subject;
use crate::variable::Variable;

/// The tag of every board; the links from board to board go by it.
pub const TAG: &str = "pulse";

/// One dashboard.
#[derive(Debug, Clone)]
pub struct Board {
    /// The name in addresses and of the file; it never changes.
    pub uid: &'static str,
    /// The title that people read.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The folder that it is in.
    pub folder: Folder,
    /// The tags by which it is found, besides [`TAG`].
    pub tags: &'static [&'static str],
    /// Whose series it shows.
    pub subject: Subject,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// A question and the panels that answer it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The question.
    pub question: &'static str,
    /// In reading order.
    pub panels: Vec<Panel>,
}

/// Folders of Grafana, and of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Boards about what Pulse does for its users.
    Pulse,
    /// Boards about what it runs on.
    Internals,
}

impl Folder {
    /// The folder's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pulse => "Pulse",
            Self::Internals => "Internals",
        }
    }
}

impl Board {
    /// A board without rows.
    pub fn new(uid: &'static str, title: &'static str, folder: Folder, subject: Subject, description: &'static str) -> Self {
        Self { uid, title, description, folder, tags: &[], subject, rows: Vec::new() }
    }

    /// The tags by which it is found.
    #[must_use]
    pub fn tagged(self, tags: &'static [&'static str]) -> Self {
        Self { tags, ..self }
    }

    /// The next question.
    #[must_use]
    pub fn row(mut self, question: &'static str, panels: impl IntoIterator<Item = Panel>) -> Self {
        self.rows.push(Row { question, panels: panels.into_iter().collect() });
        self
    }

    /// All panels, in reading order.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    /// The variables that its queries use.
    pub fn variables(&self) -> Vec<Variable> {
        let uses = |name: &str| self.panels().flat_map(|panel| &panel.queries).any(|query| query.expr.as_str().contains(name));
        let traces = self.panels().any(|panel| panel.traces.is_some());
        Variable::ALL
            .into_iter()
            .filter(|variable| match variable {
                Variable::DataSource => true,
                Variable::Tempo => traces,
                other => uses(&format!("${}", other.name())),
            })
            .collect()
    }
}
