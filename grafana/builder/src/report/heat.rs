//! A histogram over time: a row a bucket, darker where more observations lie, as SVG.

use super::plane::Plane;
use super::series::Named;
use crate::live::prometheus::Times;
use crate::panel::Panel;

/// The most names that stand beside the rows.
const NAMES_MAX: usize = 8;

/// A bucket: its upper bound, and how many observations it alone holds at each time.
struct Bucket {
    bound: f64,
    counts: Vec<(f64, f64)>,
}

/// A heat map of this width.
pub(super) fn heat(panel: &Panel, all: &[Named<'_>], times: &Times, width: f64) -> String {
    let buckets = used(apart(all));
    let rows = buckets.len() as f64;
    let most = buckets.iter().flat_map(|bucket| &bucket.counts).map(|(_, count)| *count).fold(0.0, f64::max);
    if most <= 0.0 {
        return "<div class=\"none\">No observations</div>".into();
    }
    let names: Vec<String> = buckets.iter().map(|bucket| name(panel, bucket)).collect();
    let plane = Plane::new(width, *times, (0.0, rows), &names);
    let every = buckets.len().div_ceil(NAMES_MAX);
    let mut picture = String::new();
    for (row, (bucket, name)) in buckets.iter().zip(&names).enumerate() {
        if (row + 1) % every == 0 {
            picture += &plane.mark(row as f64 + 1.0, name);
        }
        picture += &cells(&plane, bucket, row as f64, times, most);
    }
    plane.svg(&picture)
}

fn name(panel: &Panel, bucket: &Bucket) -> String {
    if bucket.bound.is_finite() { panel.unit.format(bucket.bound) } else { "more".into() }
}

/// A row: the cell of a time holds what came before it.
fn cells(plane: &Plane, bucket: &Bucket, row: f64, times: &Times, most: f64) -> String {
    let width = (plane.x(times.start + times.step) - plane.x(times.start)).max(1.0);
    let height = (plane.y(0.0) - plane.y(1.0) - 1.0).max(1.0);
    let cell = |(time, count): &(f64, f64)| {
        format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"#d9480f\" fill-opacity=\"{:.2}\"/>",
            (plane.x(*time) - width).max(plane.x(times.start)),
            plane.y(row) - height,
            0.12 + 0.88 * (count / most).sqrt()
        )
    };
    bucket.counts.iter().filter(|(_, count)| *count > 0.0).map(cell).collect()
}

/// Prometheus's buckets hold all that is below them, too: each takes away the one before.
fn apart(all: &[Named<'_>]) -> Vec<Bucket> {
    let bound = |one: &Named<'_>| one.series.labels.get("le").and_then(|le| le.parse().ok()).unwrap_or(f64::INFINITY);
    let mut sorted: Vec<_> = all.iter().map(|one| (bound(one), one.series)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = std::collections::BTreeMap::<u64, f64>::new();
    sorted
        .into_iter()
        .map(|(bound, series)| {
            let finite = series.points.iter().filter(|(_, value)| value.is_finite());
            let counts = finite.map(|(time, value)| (*time, value - below.insert(time.to_bits(), *value).unwrap_or_default())).collect();
            Bucket { bound, counts }
        })
        .collect()
}

/// Without the empty rows at both ends.
fn used(buckets: Vec<Bucket>) -> Vec<Bucket> {
    let empty = |bucket: &Bucket| bucket.counts.iter().all(|(_, count)| *count <= 0.0);
    let end = buckets.iter().rposition(|bucket| !empty(bucket)).map_or(0, |last| last + 1);
    buckets.into_iter().take(end).skip_while(empty).collect()
}
