//! Boards against a running Prometheus: every query is asked as Grafana would ask it.

mod finding;
pub mod prometheus;
mod settings;
mod variables;

use std::time::SystemTime;

use futures::StreamExt as _;

use crate::board::Board;
use crate::boards;
use crate::panel::{Kind, Panel, Query};

pub use self::finding::{Finding, Problem};
use self::prometheus::{Prometheus, Series, Times};
pub use self::settings::Settings;

/// The most queries under way at once.
const QUERIES_MAX: usize = 4;
/// Points of a line, about as many as a panel has pixels for.
const POINTS: u32 = 240;

/// A board and what its queries were answered.
#[derive(Debug)]
pub struct Seen {
    /// The board.
    pub board: Board,
    /// Per panel, in reading order, per query.
    pub panels: Vec<Vec<Answer>>,
    /// The choices of its variables that found none.
    pub findings: Vec<Finding>,
    /// The time shown.
    pub times: Times,
}

/// The answer to a query.
#[derive(Debug)]
pub struct Answer {
    /// As it was asked.
    pub query: String,
    /// The answer.
    pub series: Result<Vec<Series>, prometheus::Error>,
}

impl Answer {
    pub(crate) fn problem(&self, query: &Query) -> Option<Problem> {
        let series = match &self.series {
            Err(error) => return Some(Problem::failed(error)),
            Ok(series) => series,
        };
        if query.may_be_empty.is_none() && !series.iter().any(Series::has_value) {
            return Some(Problem::Empty);
        }
        let missing = query.legend_labels().find(|label| series.iter().any(|one| !one.labels.contains_key(*label)));
        missing.map(|label| Problem::Unnamed(label.to_owned()))
    }
}

/// Asks every query of the boards and says which failed or had no data. On a healthy system there are no findings.
///
/// ```no_run
/// # async fn example() {
/// let settings = pulse_boards::live::Settings::new("http://127.0.0.1:9090");
/// assert_eq!(pulse_boards::live::check(&settings).await, []);
/// # }
/// ```
pub async fn check(settings: &Settings) -> Vec<Finding> {
    look(settings).await.iter().flat_map(findings).collect()
}

/// Asks every query of the boards.
pub async fn look(settings: &Settings) -> Vec<Seen> {
    let wanted = |board: &Board| settings.boards.is_empty() || settings.boards.iter().any(|uid| uid == board.uid);
    let mut seen = Vec::new();
    for board in boards::all().into_iter().filter(wanted) {
        seen.push(look_at(board, settings).await);
    }
    seen
}

/// What a board should show and does not.
pub fn findings(seen: &Seen) -> Vec<Finding> {
    let mut findings = seen.findings.clone();
    for (panel, answers) in seen.board.panels().zip(&seen.panels) {
        for (query, answer) in panel.queries.iter().zip(answers) {
            if let Some(problem) = answer.problem(query) {
                findings.push(Finding { board: seen.board.uid, panel: panel.title.to_owned(), query: answer.query.clone(), problem });
            }
        }
    }
    findings
}

async fn look_at(board: Board, settings: &Settings) -> Seen {
    let times = Times::until(SystemTime::now(), settings.over, POINTS);
    let prometheus = &Prometheus::new(&settings.prometheus);
    let findings = variables::findings(&board, prometheus, settings, &times).await;
    let asked: Vec<_> =
        board.panels().flat_map(|panel| panel.queries.iter().map(|query| ask(prometheus, panel, query, settings, &times))).collect();
    let mut answers = futures::stream::iter(asked).buffered(QUERIES_MAX).collect::<Vec<_>>().await.into_iter();
    let panels = board.panels().map(|panel| answers.by_ref().take(panel.queries.len()).collect()).collect();
    Seen { board, panels, findings, times }
}

async fn ask(prometheus: &Prometheus, panel: &Panel, query: &Query, settings: &Settings, times: &Times) -> Answer {
    let text = variables::filled(query.expr.as_str(), settings);
    let series = match panel.kind {
        Kind::Stat | Kind::Table { .. } => prometheus.now(&text, times).await,
        Kind::Lines | Kind::Stack | Kind::Heat => prometheus.over(&text, times).await,
    };
    Answer { query: text, series }
}
