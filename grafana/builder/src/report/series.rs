//! The series of a panel with their names and colours.

use crate::live::Answer;
use crate::live::prometheus::Series;
use crate::panel::Panel;

/// Told apart at a glance, in this order.
const COLORS: [&str; 10] = ["#3572b8", "#e0752d", "#4f9d4f", "#c4473a", "#8d65b5", "#2fa3ad", "#d67bb6", "#8a6a5c", "#a8a52a", "#6f7a86"];
const LIMIT_COLOR: &str = "#24292f";

/// A series as it is drawn.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub(super) name: String,
    pub(super) color: &'static str,
    pub(super) is_limit: bool,
    pub(super) series: &'a Series,
}

/// Every series that has a value.
pub(super) fn named<'a>(panel: &Panel, answers: &'a [Answer]) -> Vec<Named<'a>> {
    let mut all: Vec<Named<'a>> = Vec::new();
    for (query, answer) in panel.queries.iter().zip(answers) {
        for series in answer.series.iter().flatten().filter(|series| series.has_value()) {
            let color = if query.is_limit { LIMIT_COLOR } else { COLORS[all.len() % COLORS.len()] };
            all.push(Named { name: name(&query.legend, series), color, is_limit: query.is_limit, series });
        }
    }
    all
}

/// Fills in `{{label}}`.
fn name(legend: &str, series: &Series) -> String {
    let mut name = String::new();
    let mut rest = legend;
    while let Some((before, label, after)) = next_label(rest) {
        name += before;
        name += series.labels.get(label.trim()).map_or("", String::as_str);
        rest = after;
    }
    name + rest
}

fn next_label(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (label, after) = rest.split_once("}}")?;
    Some((before, label, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legends_are_filled_in() {
        let series = Series { labels: [("service".to_owned(), "ui_api".to_owned())].into(), points: Vec::new() };
        for (legend, expected) in [("95 %", "95 %"), ("{{service}}: {{ service }}!", "ui_api: ui_api!"), ("{{absent}}x", "x")] {
            assert_eq!(name(legend, &series), expected);
        }
    }
}
