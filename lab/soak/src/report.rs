//! What a scenario found: figures in rounds, each with the machine's load beside it, as a table and as JSON.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use crate::machine;

/// The figures of one way of doing some work.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// The conditions that the ways share: they are measured turn and turn about.
    pub(crate) case: String,
    pub(crate) way: String,
    /// One of each round.
    pub(crate) per_second: Vec<f64>,
    /// The machine's load average after each round: other work makes figures worse, ratios less so.
    pub(crate) load_averages: Vec<f64>,
}

impl Figure {
    pub(crate) fn new(case: &str, way: &str) -> Self {
        Self { case: case.to_owned(), way: way.to_owned(), per_second: Vec::new(), load_averages: Vec::new() }
    }

    /// Another round's.
    pub(crate) fn add(&mut self, per_second: f64) -> anyhow::Result<()> {
        self.per_second.push(per_second);
        self.load_averages.push(machine::load_average()?);
        Ok(())
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.per_second)
    }
}

/// What must hold: a way reaches a part of what another way does.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) found: f64,
    pub(crate) wanted: String,
    pub(crate) holds: bool,
}

impl Verdict {
    pub(crate) fn at_most(what: &str, found: f64, most: f64) -> Self {
        Self { what: what.to_owned(), found, wanted: format!("at most {most:.1}"), holds: found <= most }
    }

    /// What is counted is as much as it must be.
    pub(crate) fn equal(what: &str, found: impl TryInto<u64>, wanted: impl TryInto<u64>) -> Self {
        let (found, wanted) = (found.try_into().ok(), wanted.try_into().ok());
        let holds = found.is_some() && found == wanted;
        Self { what: what.to_owned(), found: number(found.unwrap_or_default()), wanted: wanted.unwrap_or_default().to_string(), holds }
    }
}

/// A scenario's outcome.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) settings: serde_json::Value,
    pub(crate) figures: Vec<Figure>,
    pub(crate) verdicts: Vec<Verdict>,
    /// For people, besides.
    #[serde(skip)]
    pub(crate) lines: Vec<String>,
    /// What a scenario has to say besides.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) details: serde_json::Value,
}

impl Report {
    pub(crate) fn new(scenario: &'static str, unit: &'static str, settings: &impl Serialize, figures: Vec<Figure>) -> anyhow::Result<Self> {
        let settings = serde_json::to_value(settings)?;
        Ok(Self { scenario, unit, settings, figures, verdicts: Vec::new(), lines: Vec::new(), details: serde_json::Value::Null })
    }

    /// Holds each case's `way` against its `reference`: it must reach `part` of it.
    pub(crate) fn compare(&mut self, way: &str, reference: &str, part: f64) {
        let median_of = |case: &str, way: &str| self.figures.iter().find(|f| f.case == case && f.way == way).map(Figure::median);
        let mut verdicts = Vec::new();
        for figure in self.figures.iter().filter(|figure| figure.way == way) {
            let Some(reference_median) = median_of(&figure.case, reference).filter(|median| *median > 0.0) else { continue };
            let ratio = figure.median() / reference_median;
            let what = format!("{}: {way} / {reference}", figure.case);
            verdicts.push(Verdict { what, found: ratio, wanted: format!("at least {part}"), holds: ratio >= part });
        }
        self.verdicts.extend(verdicts);
    }

    /// Prints the table, writes the JSON; an error when something does not hold.
    pub(crate) fn publish(&self, json: Option<&Path>) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        write!(out, "{}", self.table()).context("the report cannot be printed")?;
        if let Some(file) = json {
            let text = serde_json::to_string_pretty(self)?;
            std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        let broken: Vec<&str> = self.verdicts.iter().filter(|verdict| !verdict.holds).map(|verdict| verdict.what.as_str()).collect();
        anyhow::ensure!(broken.is_empty(), "does not hold: {}", broken.join("; "));
        Ok(())
    }

    fn table(&self) -> String {
        let width = |of: fn(&Figure) -> &str| self.figures.iter().map(|figure| of(figure).len()).max().unwrap_or_default();
        let (case_width, way_width, unit) = (width(|f| &f.case), width(|f| &f.way), self.unit);
        let figure = |Figure { case, way, per_second, load_averages }: &Figure| {
            let rounds: Vec<String> = per_second.iter().map(|rate| format!("{rate:.0}")).collect();
            let (middle, load, rounds) = (median(per_second), median(load_averages), rounds.join(" "));
            format!("  {case:case_width$}  {way:way_width$}  {middle:>9.0} {unit}  (load average {load:.1}; rounds {rounds})\n")
        };
        let verdict = |Verdict { what, found, wanted, holds }: &Verdict| {
            let says = if *holds { "holds " } else { "BROKEN" };
            format!("  {says} {what}: {found:.2}, wanted {wanted}\n")
        };
        let mut parts = vec![format!("{}\n", self.scenario)];
        parts.extend(self.figures.iter().map(figure));
        parts.extend(self.lines.iter().map(|line| format!("  {line}\n")));
        parts.extend(self.verdicts.iter().map(verdict));
        parts.concat()
    }
}

/// A count among figures.
#[expect(clippy::cast_precision_loss, reason = "counts of one run stay far below 2^52")]
pub(crate) fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().map_or(0.0, |count: u64| count as f64)
}

/// The middle one, or between the middle two; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => 0.0,
        (middle, 0) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (middle, _) => sorted[middle],
    }
}

#[allow(clippy::print_stderr, reason = "the one line that says why the program ends")]
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("pulse-soak: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (values, middle) in [(&[][..], 0.0), (&[3.0], 3.0), (&[5.0, 1.0], 3.0), (&[9.0, 1.0, 2.0], 2.0)] {
            assert!((median(values) - middle).abs() < f64::EPSILON, "{values:?}");
        }
    }

    #[test]
    fn a_way_that_falls_behind_is_told() {
        let figure = |way: &str, rate: f64| Figure { case: "c".into(), way: way.into(), per_second: vec![rate], load_averages: vec![0.0] };
        let mut report = Report::new("s", "rows/s", &(), vec![figure("bare", 100.0), figure("store", 49.0)]).unwrap();
        report.compare("store", "bare", 0.4);
        assert!(report.publish(None).is_ok());
        report.compare("store", "bare", 0.5);
        assert!(report.publish(None).unwrap_err().to_string().contains("c: store / bare"));
    }
}
