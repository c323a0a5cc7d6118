//! Lines and stacked areas over time, as SVG.

use super::escaped;
use super::page::moment;
use super::scale;
use super::series::Named;
use crate::live::prometheus::Times;
use crate::panel::{Kind, Limits, Panel};

const HEIGHT: f64 = 180.0;
/// A character of a mark's name.
const CHARACTER: f64 = 6.4;
/// Room for half of the last time.
const RIGHT: f64 = 20.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;

/// The plane of a chart: where a time and a value stand.
pub(super) struct Plane {
    pub(super) width: f64,
    times: Times,
    low: f64,
    high: f64,
    left: f64,
}

impl Plane {
    /// A plane with room at the left for the longest of these names.
    pub(super) fn new(width: f64, times: Times, (low, high): (f64, f64), names: &[String]) -> Self {
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        Self { width, times, low, high, left: 12.0 + CHARACTER * longest as f64 }
    }

    pub(super) fn x(&self, time: f64) -> f64 {
        let share = (time - self.times.start) / (self.times.end - self.times.start);
        self.left + share * (self.width - self.left - RIGHT)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    /// A line across at a value, with its name at the left.
    pub(super) fn mark(&self, value: f64, name: &str) -> String {
        let y = self.y(value);
        format!(
            "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e6e9ec\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            self.left,
            self.width - RIGHT,
            self.left - 6.0,
            y + 4.0,
            escaped(name)
        )
    }

    /// The times along the bottom.
    pub(super) fn clock(&self) -> String {
        let form = if self.times.end - self.times.start < 300.0 { "%H:%M:%S" } else { "%H:%M" };
        let name = |time: f64| moment(time).map(|time| time.format(form).to_string()).unwrap_or_default();
        scale::moments(self.times.start, self.times.end)
            .into_iter()
            .map(|time| format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", self.x(time), HEIGHT - 5.0, name(time)))
            .collect()
    }

    /// The picture around what is drawn.
    pub(super) fn svg(&self, drawn: &str) -> String {
        format!("<svg viewBox=\"0 0 {:.0} {HEIGHT}\" role=\"img\">{drawn}{}</svg>", self.width, self.clock())
    }
}

/// A series as it stands in the chart.
struct Drawn {
    top: Vec<(f64, f64)>,
    /// What it stands on, in a stack.
    floor: Vec<(f64, f64)>,
}

/// A chart of this width.
pub(super) fn chart(panel: &Panel, all: &[Named<'_>], times: &Times, width: f64) -> String {
    let stacked = panel.kind == Kind::Stack;
    let drawn = if stacked { stacked_up(all) } else { side_by_side(all) };
    let (low, high) = span(panel, &drawn);
    let marks = scale::marks(panel.unit, low, high);
    let names: Vec<String> = marks.iter().map(|mark| panel.unit.format(*mark)).collect();
    let (Some(low), Some(high)) = (marks.first(), marks.last()) else { return String::new() };
    let plane = Plane::new(width, *times, (*low, *high), &names);
    let mut picture: String = marks.iter().zip(&names).map(|(mark, name)| plane.mark(*mark, name)).collect();
    picture += &limits(panel.limits, &plane, *high);
    for (one, drawn) in all.iter().zip(&drawn).rev() {
        picture += &if stacked { area(&plane, drawn, one.color) } else { line(&plane, &drawn.top, times.step, one) };
    }
    plane.svg(&picture)
}

/// The lowest and the highest value of the scale. Where all is 0 it reaches as far as there is something to judge by.
fn span(panel: &Panel, drawn: &[Drawn]) -> (f64, f64) {
    let values = || drawn.iter().flat_map(|one| &one.top).map(|(_, value)| *value).filter(|value| value.is_finite());
    let lowest = values().fold(f64::INFINITY, f64::min);
    let low = panel.min.unwrap_or(lowest).min(lowest);
    let high = panel.max.unwrap_or_else(|| values().fold(f64::NEG_INFINITY, f64::max));
    if high > low {
        return (low, high);
    }
    match panel.limits {
        Some(Limits::Above { bad, .. }) if bad > low => (low, bad),
        _ => (low, low + 1.0),
    }
}

fn limits(limits: Option<Limits>, plane: &Plane, high: f64) -> String {
    let Some(Limits::Above { warn, bad } | Limits::Below { warn, bad }) = limits else { return String::new() };
    [(warn, "#c25e00"), (bad, "#c4162a")]
        .into_iter()
        .filter(|(value, _)| *value <= high)
        .map(|(value, color)| {
            let y = plane.y(value);
            format!(
                "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{color}\" stroke-dasharray=\"6 4\"/>",
                plane.left,
                plane.width - RIGHT
            )
        })
        .collect()
}

fn side_by_side(all: &[Named<'_>]) -> Vec<Drawn> {
    all.iter().map(|one| Drawn { top: one.series.points.clone(), floor: Vec::new() }).collect()
}

/// Each series on top of those before it. Series of one answer have the same times.
fn stacked_up(all: &[Named<'_>]) -> Vec<Drawn> {
    let mut height = std::collections::BTreeMap::<u64, f64>::new();
    let mut stack = |one: &Named<'_>| {
        let mut drawn = Drawn { top: Vec::new(), floor: Vec::new() };
        for (time, value) in one.series.points.iter().filter(|(_, value)| value.is_finite()) {
            let height = height.entry(time.to_bits()).or_default();
            drawn.floor.push((*time, *height));
            *height += value;
            drawn.top.push((*time, *height));
        }
        drawn
    };
    all.iter().map(&mut stack).collect()
}

/// Where nothing was measured there is no line; a point alone is a dot.
fn line(plane: &Plane, points: &[(f64, f64)], step: f64, one: &Named<'_>) -> String {
    let dash = if one.is_limit { " stroke-dasharray=\"6 4\"" } else { "" };
    let finite: Vec<_> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    finite
        .chunk_by(|a, b| b.0 - a.0 < step * 1.5)
        .map(|run| match run {
            [(time, value)] => {
                format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\" fill=\"{}\"/>", plane.x(*time), plane.y(*value), one.color)
            }
            run => format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"{dash}/>", path(plane, run), one.color),
        })
        .collect()
}

fn area(plane: &Plane, drawn: &Drawn, color: &str) -> String {
    let back: Vec<_> = drawn.floor.iter().rev().copied().collect();
    let (top, back) = (path(plane, &drawn.top), path(plane, &back));
    format!(
        "<polygon points=\"{top} {back}\" fill=\"{color}\" fill-opacity=\"0.45\"/><polyline points=\"{top}\" fill=\"none\" stroke=\"{color}\"/>"
    )
}

fn path(plane: &Plane, points: &[(f64, f64)]) -> String {
    points.iter().map(|(time, value)| format!("{:.1},{:.1}", plane.x(*time), plane.y(*value))).collect::<Vec<_>>().join(" ")
}
