//! Lines and stacked areas over time, as SVG.

use super::plane::Plane;
use super::scale;
use super::series::Named;
use crate::live::prometheus::Times;
use crate::panel::{Kind, Limits, Panel};

/// A series as it stands in the chart.
struct Drawn {
    top: Vec<(f64, f64)>,
    /// The lower edge, in a stack.
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

/// The lowest and the highest value of the scale. Where all values are equal, it reaches up to the limit, if there is one.
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
        .map(|(value, color)| plane.across(value, color, " stroke-dasharray=\"6 4\""))
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
