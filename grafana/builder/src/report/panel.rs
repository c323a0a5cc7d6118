//! A panel as a card: its words, and what its queries were answered.

use super::series::{self, Named};
use super::text::escaped;
use super::{chart, heat};
use crate::layout::{COLUMNS, Place};
use crate::live::Answer;
use crate::live::prometheus::Times;
use crate::panel::{Kind, Limits, Panel};

/// Pixels of the whole width.
const WIDTH: f64 = 1_392.0;
/// What a card takes of its width around the chart.
const FRAME: f64 = 30.0;
/// The most lines of a legend or a table.
const LINES_MAX: usize = 12;

pub(super) fn card(panel: &Panel, place: Place, answers: &[Answer], times: &Times) -> String {
    let problems: Vec<String> = panel
        .queries
        .iter()
        .zip(answers)
        .filter_map(|(query, answer)| answer.problem(query).map(|problem| format!("{problem} ({})", query.legend)))
        .collect();
    let class = if problems.is_empty() { "card" } else { "card bad" };
    let problems: String = problems.iter().map(|problem| format!("<p class=\"problem\">{}</p>", escaped(problem))).collect();
    let queries: String = answers.iter().map(|answer| format!("<code>{}</code>", escaped(&answer.query))).collect();
    format!(
        "<section class=\"{class}\" style=\"grid-column: span {}\"><h3>{} <span>{}</span></h3><p>{}</p><div class=\"body\">{problems}{}</div>\
         <details><summary>{} {}</summary>{queries}</details></section>",
        place.w,
        escaped(panel.title),
        escaped(panel.unit.name()),
        escaped(panel.description),
        body(panel, &series::named(panel, answers), times, WIDTH * f64::from(place.w) / f64::from(COLUMNS) - FRAME),
        answers.len(),
        if answers.len() == 1 { "query" } else { "queries" },
    )
}

fn body(panel: &Panel, all: &[Named<'_>], times: &Times, width: f64) -> String {
    if all.is_empty() {
        let reason = panel.queries.iter().find_map(|query| query.may_be_empty).map(|reason| format!(" ({reason})")).unwrap_or_default();
        return format!("<div class=\"none\">{}{}</div>", escaped(panel.no_value.unwrap_or("No data")), escaped(&reason));
    }
    match &panel.kind {
        Kind::Stat => format!("<div class=\"stat\">{}</div>", all.iter().map(|one| stat(panel, one, all.len() > 1)).collect::<String>()),
        Kind::Lines | Kind::Stack => chart::chart(panel, all, times, width) + &legend(panel, all),
        Kind::Heat => heat::heat(panel, all, times, width),
        Kind::Table { labels, value } => table(panel, all, labels, value),
    }
}

fn stat(panel: &Panel, one: &Named<'_>, named: bool) -> String {
    let value = one.series.last().unwrap_or(f64::NAN);
    let name = if named { format!("<small>{}</small>", escaped(&one.name)) } else { String::new() };
    format!("<div class=\"{}\">{}{name}</div>", judgement(panel.limits, value), escaped(&panel.unit.format(value)))
}

fn judgement(limits: Option<Limits>, value: f64) -> &'static str {
    match limits {
        None => "",
        Some(Limits::Above { bad, .. }) if value >= bad => "badly",
        Some(Limits::Above { warn, .. }) if value >= warn => "warn",
        Some(Limits::Below { bad, .. }) if value < bad => "badly",
        Some(Limits::Below { warn, .. }) if value < warn => "warn",
        Some(_) => "good",
    }
}

/// Last and highest value of each line, the highest lines first when there are too many.
fn legend(panel: &Panel, all: &[Named<'_>]) -> String {
    let highest = |one: &Named<'_>| {
        one.series.points.iter().map(|(_, value)| *value).filter(|value| !value.is_nan()).fold(f64::NEG_INFINITY, f64::max)
    };
    let mut lines: Vec<&Named<'_>> = all.iter().collect();
    if lines.len() > LINES_MAX {
        lines.sort_by(|a, b| highest(b).total_cmp(&highest(a)));
    }
    let rows: String = lines
        .iter()
        .take(LINES_MAX)
        .map(|one| {
            format!(
                "<tr><td class=\"name\"><i style=\"background:{}\"></i>{}</td><td class=\"value\">{}</td><td class=\"value\">{}</td></tr>",
                one.color,
                escaped(&one.name),
                panel.unit.format(one.series.last().unwrap_or(f64::NAN)),
                panel.unit.format(highest(one)),
            )
        })
        .collect();
    let more = lines.len().saturating_sub(LINES_MAX);
    let more = if more == 0 { String::new() } else { format!("<tr><td colspan=\"3\">and {more} more</td></tr>") };
    format!("<table class=\"legend\"><tr><th></th><th class=\"value\">last</th><th class=\"value\">highest</th></tr>{rows}{more}</table>")
}

fn table(panel: &Panel, all: &[Named<'_>], labels: &[(&str, &str)], value: &str) -> String {
    let heads: String = labels.iter().map(|(_, head)| format!("<th>{}</th>", escaped(head))).collect();
    let mut sorted: Vec<&Named<'_>> = all.iter().collect();
    sorted.sort_by_key(|one| labels.iter().map(|(name, _)| one.series.labels.get(*name)).collect::<Vec<_>>());
    let rows: String = sorted
        .iter()
        .take(LINES_MAX)
        .map(|one| {
            let label = |name: &str| escaped(one.series.labels.get(name).map_or("", String::as_str));
            let cells: String = labels.iter().map(|(name, _)| format!("<td class=\"name\">{}</td>", label(name))).collect();
            format!("<tr>{cells}<td class=\"value\">{}</td></tr>", panel.unit.format(one.series.last().unwrap_or(f64::NAN)))
        })
        .collect();
    format!("<table><tr>{heads}<th class=\"value\">{}</th></tr>{rows}</table>", escaped(value))
}
