//! One panel: a question, what its answer means, and the queries that answer it.

use crate::promql::{Expr, Selector, quantile};
use crate::unit::Unit;

/// What a panel shows, whoever draws it.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Short, for the head of it.
    pub title: &'static str,
    /// What it shows, and what to think of it.
    pub description: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// How it is drawn.
    pub kind: Kind,
    /// Its queries, in the order of its legend.
    pub queries: Vec<Query>,
    /// The scale's lower end, where it is known.
    pub min: Option<f64>,
    /// The scale's upper end, where it is known.
    pub max: Option<f64>,
    /// Digits after the point, where Grafana's choice is wrong.
    pub decimals: Option<u8>,
    /// Where values begin to be bad.
    pub limits: Option<Limits>,
    /// What stands there when there is no value, and that is as it should be.
    pub no_value: Option<&'static str>,
    /// The board that answers the next question.
    pub more: Option<&'static str>,
    /// Whose traces show single cases.
    pub traces: Option<Traces>,
}

/// How a panel is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The last value, large.
    Stat,
    /// Lines over time.
    Lines,
    /// Areas over time, one on the other: for parts of a whole.
    Stack,
    /// A histogram's observations over time, in their buckets.
    Heat,
    /// The last values, one a line, under these heads: labels, then the value.
    Table { labels: &'static [(&'static str, &'static str)], value: &'static str },
}

/// One query of a panel.
#[derive(Debug, Clone)]
pub struct Query {
    /// What is asked.
    pub expr: Expr,
    /// The name of each series, with `{{label}}` for a label's value.
    pub legend: String,
    /// Why a healthy system may have no series here; none if it always has some.
    pub may_be_empty: Option<&'static str>,
    /// Whether it is the limit of the other lines, and drawn as one.
    pub is_limit: bool,
}

impl Query {
    /// The labels that the legend names.
    pub fn legend_labels(&self) -> impl Iterator<Item = &str> {
        self.legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(label, _)| label.trim())
    }
}

/// From which value on a panel warns, and from which on it is bad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limits {
    /// Bad when high.
    Above { warn: f64, bad: f64 },
    /// Bad when low.
    Below { warn: f64, bad: f64 },
}

/// Whose traces a latency leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traces {
    /// Those of one service.
    Of(&'static str),
    /// Those of the series' own label `service`.
    OfTheSeries,
}

impl Panel {
    fn new(kind: Kind, title: &'static str, unit: Unit, description: &'static str) -> Self {
        let (queries, min) = (Vec::new(), Some(0.0));
        Self {
            title,
            description,
            unit,
            kind,
            queries,
            min,
            max: None,
            decimals: None,
            limits: None,
            no_value: None,
            more: None,
            traces: None,
        }
    }

    /// The last value, large.
    pub fn stat(title: &'static str, unit: Unit, description: &'static str) -> Self {
        Self::new(Kind::Stat, title, unit, description)
    }

    /// Lines over time.
    pub fn lines(title: &'static str, unit: Unit, description: &'static str) -> Self {
        Self::new(Kind::Lines, title, unit, description)
    }

    /// Parts of a whole over time.
    pub fn stack(title: &'static str, unit: Unit, description: &'static str) -> Self {
        Self::new(Kind::Stack, title, unit, description)
    }

    /// A histogram's observations over time.
    pub fn heat(title: &'static str, unit: Unit, description: &'static str) -> Self {
        Self::new(Kind::Heat, title, unit, description)
    }

    /// The last values, one a line. `labels` are the columns, each with its head; `value` is the head of the value's.
    pub fn table(
        title: &'static str,
        unit: Unit,
        labels: &'static [(&'static str, &'static str)],
        value: &'static str,
        description: &'static str,
    ) -> Self {
        Self::new(Kind::Table { labels, value }, title, unit, description)
    }

    /// Adds a query.
    #[must_use]
    pub fn ask(self, expr: impl Into<Expr>, legend: impl Into<String>) -> Self {
        self.query(expr.into(), legend.into(), None, false)
    }

    /// Adds a query that a healthy system may answer with no series, and says why.
    #[must_use]
    pub fn ask_if_any(self, expr: impl Into<Expr>, legend: impl Into<String>, reason: &'static str) -> Self {
        self.query(expr.into(), legend.into(), Some(reason), false)
    }

    /// Adds queries for the median and the two usual upper quantiles of a histogram.
    #[must_use]
    pub fn ask_quantiles(self, histogram: impl Into<Selector>) -> Self {
        let histogram = histogram.into();
        let quantiles = [(0.5, "50 %"), (0.95, "95 %"), (0.99, "99 %")];
        quantiles.into_iter().fold(self, |panel, (q, name)| panel.ask(quantile(q, histogram.clone()), name))
    }

    /// Adds a query for the limit of the other lines.
    #[must_use]
    pub fn ask_limit(self, expr: impl Into<Expr>, legend: impl Into<String>) -> Self {
        self.query(expr.into(), legend.into(), None, true)
    }

    fn query(mut self, expr: Expr, legend: String, may_be_empty: Option<&'static str>, is_limit: bool) -> Self {
        self.queries.push(Query { expr, legend, may_be_empty, is_limit });
        self
    }

    /// Warns above the first value, is bad above the second.
    #[must_use]
    pub fn bad_above(self, warn: f64, bad: f64) -> Self {
        Self { limits: Some(Limits::Above { warn, bad }), ..self }
    }

    /// Warns below the first value, is bad below the second.
    #[must_use]
    pub fn bad_below(self, warn: f64, bad: f64) -> Self {
        Self { limits: Some(Limits::Below { warn, bad }), ..self }
    }

    /// The scale's upper end.
    #[must_use]
    pub fn up_to(self, max: f64) -> Self {
        Self { max: Some(max), ..self }
    }

    /// Digits after the point.
    #[must_use]
    pub fn decimals(self, decimals: u8) -> Self {
        Self { decimals: Some(decimals), ..self }
    }

    /// What stands there when there is no value and that is as it should be.
    #[must_use]
    pub fn when_empty(self, text: &'static str) -> Self {
        Self { no_value: Some(text), ..self }
    }

    /// The board that answers the next question.
    #[must_use]
    pub fn more_on(self, uid: &'static str) -> Self {
        Self { more: Some(uid), ..self }
    }

    /// A click leads to the traces of this service.
    #[must_use]
    pub fn traces_of(self, service: &'static str) -> Self {
        Self { traces: Some(Traces::Of(service)), ..self }
    }

    /// A click leads to the traces of the series' service.
    #[must_use]
    pub fn traces_of_the_series(self) -> Self {
        Self { traces: Some(Traces::OfTheSeries), ..self }
    }
}
