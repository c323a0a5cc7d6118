//! The plane of a chart: where a time and a value stand, and the marks along its sides.

use super::scale;
use super::text::{escaped, moment};
use crate::live::prometheus::Times;

const HEIGHT: f64 = 180.0;
/// A character of a mark's name.
const CHARACTER: f64 = 6.4;
/// Room for half of the last time.
const RIGHT: f64 = 20.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;

/// The plane of a chart.
pub(super) struct Plane {
    width: f64,
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
        let (x, y) = (self.left - 6.0, self.y(value) + 4.0);
        let name = escaped(name);
        self.across(value, "#e6e9ec", "") + &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>")
    }

    /// A line across at a value.
    pub(super) fn across(&self, value: f64, color: &str, dash: &str) -> String {
        let (left, right, y) = (self.left, self.width - RIGHT, self.y(value));
        format!("<line x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{color}\"{dash}/>")
    }

    /// The times along the bottom.
    pub(super) fn clock(&self) -> String {
        let form = if self.times.end - self.times.start < 300.0 { "%H:%M:%S" } else { "%H:%M" };
        scale::moments(self.times.start, self.times.end)
            .into_iter()
            .map(|time| {
                format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", self.x(time), HEIGHT - 5.0, moment(time, form))
            })
            .collect()
    }

    /// The picture around what is drawn.
    pub(super) fn svg(&self, drawn: &str) -> String {
        format!("<svg viewBox=\"0 0 {:.0} {HEIGHT}\" role=\"img\">{drawn}{}</svg>", self.width, self.clock())
    }
}
