//! Lines and stacked areas over time, as SVG.

use super::escaped;
use super::page::moment;
use super::scale;
use super::series::Named;
use crate::live::prometheus::Times;
use crate::panel::{Kind, Limits, Panel};

const HEIGHT: f64 = 180.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;

/// The plane of a chart: where a time and a value stand.
pub(super) struct Plane {
    pub(super) width: f64,
    times: Times,
    low: f64,
    high: f64,
}

impl Plane {
    pub(super) fn new(width: f64, times: Times, low: f64, high: f64) -> Self {
        Self { width, times, low, high }
    }

    pub(super) fn x(&self, time: f64) -> f64 {
        let share = (time - self.times.start) / (self.times.end - self.times.start);
        LEFT + share * (self.width - LEFT - RIGHT)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    /// A line across at a value, with its name at the left.
    pub(super) fn mark(&self, value: f64, name: &str) -> String {
        let y = self.y(value);
        format!(
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e6e9ec\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            self.width - RIGHT,
            LEFT - 6.0,
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

/// A chart of this width.
pub(super) fn chart(panel: &Panel, all: &[Named<'_>], times: &Times, width: f64) -> String {
    let stacked = panel.kind == Kind::Stack;
    let drawn: Vec<Vec<(f64, f64)>> = if stacked { stacked_up(all) } else { all.iter().map(|one| one.series.points.clone()).collect() };
    let values = || drawn.iter().flatten().map(|(_, value)| *value).filter(|value| value.is_finite());
    let low = panel.min.unwrap_or_else(|| values().fold(0.0, f64::min)).min(values().fold(f64::INFINITY, f64::min));
    let high = panel.max.unwrap_or_else(|| values().fold(f64::NEG_INFINITY, f64::max));
    let marks = scale::marks(panel.unit, low, if high > low { high } else { low + 1.0 });
    let (Some(low), Some(high)) = (marks.first(), marks.last()) else { return String::new() };
    let plane = Plane::new(width, *times, *low, *high);
    let mut picture: String = marks.iter().map(|mark| plane.mark(*mark, &panel.unit.format(*mark))).collect();
    picture += &limits(panel.limits, &plane, *high);
    for (index, (one, points)) in all.iter().zip(&drawn).enumerate().rev() {
        if stacked {
            let floor = index.checked_sub(1).map(|below| drawn[below].as_slice()).unwrap_or_default();
            picture += &area(&plane, points, floor, one.color);
        } else {
            picture += &line(&plane, points, times.step, one);
        }
    }
    plane.svg(&picture)
}

fn limits(limits: Option<Limits>, plane: &Plane, high: f64) -> String {
    let Some(Limits::Above { warn, bad } | Limits::Below { warn, bad }) = limits else { return String::new() };
    [(warn, "#c25e00"), (bad, "#c4162a")]
        .into_iter()
        .filter(|(value, _)| *value <= high)
        .map(|(value, color)| {
            let y = plane.y(value);
            format!(
                "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{color}\" stroke-dasharray=\"6 4\"/>",
                plane.width - RIGHT
            )
        })
        .collect()
}

/// Each series on top of those before it. Series of one answer have the same times.
fn stacked_up(all: &[Named<'_>]) -> Vec<Vec<(f64, f64)>> {
    let mut below = std::collections::BTreeMap::<u64, f64>::new();
    all.iter()
        .map(|one| {
            let points = one.series.points.iter().filter(|(_, value)| value.is_finite());
            points
                .map(|(time, value)| {
                    let top = below.entry(time.to_bits()).or_default();
                    *top += value;
                    (*time, *top)
                })
                .collect()
        })
        .collect()
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

fn area(plane: &Plane, top: &[(f64, f64)], floor: &[(f64, f64)], color: &str) -> String {
    let (Some(first), Some(last)) = (top.first(), top.last()) else { return String::new() };
    let back: Vec<_> = if floor.is_empty() { vec![(last.0, 0.0), (first.0, 0.0)] } else { floor.iter().rev().copied().collect() };
    format!(
        "<polygon points=\"{} {}\" fill=\"{color}\" fill-opacity=\"0.45\"/><polyline points=\"{}\" fill=\"none\" stroke=\"{color}\"/>",
        path(plane, top),
        path(plane, &back),
        path(plane, top)
    )
}

fn path(plane: &Plane, points: &[(f64, f64)]) -> String {
    points.iter().map(|(time, value)| format!("{:.1},{:.1}", plane.x(*time), plane.y(*value))).collect::<Vec<_>>().join(" ")
}
