//! Where panels stand in Grafana's grid of 24 columns. Nobody chooses widths: a row's panels share the line evenly.

use crate::board::{Board, Row};
use crate::panel::{Kind, Panel};

/// Columns of the grid.
pub const COLUMNS: u16 = 24;
/// The height of a row's head.
const HEAD: u16 = 1;
/// The most that stand beside each other.
const STATS_MAX: usize = 6;
const CHARTS_MAX: usize = 3;

/// A place in the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    pub h: u16,
    pub w: u16,
    pub x: u16,
    pub y: u16,
}

/// A row with the places of its head and its panels.
#[derive(Debug)]
pub struct PlacedRow<'a> {
    pub head: Place,
    pub row: &'a Row,
    pub panels: Vec<(Place, &'a Panel)>,
}

/// Places everything, from top to bottom.
pub fn place(board: &Board) -> Vec<PlacedRow<'_>> {
    let mut y = 0;
    let mut rows = Vec::new();
    for row in &board.rows {
        let head = Place { h: HEAD, w: COLUMNS, x: 0, y };
        y += HEAD;
        let mut panels = Vec::new();
        for line in lines(&row.panels) {
            let h = line.iter().map(height).max().unwrap_or_default();
            panels.extend(share(line.len()).zip(line).map(|((x, w), panel)| (Place { h, w, x, y }, panel)));
            y += h;
        }
        rows.push(PlacedRow { head, row, panels });
    }
    rows
}

fn height(panel: &Panel) -> u16 {
    match panel.kind {
        Kind::Stat => 4,
        Kind::Lines | Kind::Stack | Kind::Heat | Kind::Table { .. } => 9,
    }
}

/// Stats stand with stats, and as many lines as are needed are filled evenly.
fn lines(panels: &[Panel]) -> Vec<&[Panel]> {
    let mut lines = Vec::new();
    for alike in panels.chunk_by(|a, b| (a.kind == Kind::Stat) == (b.kind == Kind::Stat)) {
        let most = if alike.iter().all(|panel| panel.kind == Kind::Stat) { STATS_MAX } else { CHARTS_MAX };
        let count = alike.len().div_ceil(most);
        lines.extend(alike.chunks(alike.len().div_ceil(count)));
    }
    lines
}

/// Start and width of each of `n` equal parts of the line; those further left take what is over.
fn share(n: usize) -> impl Iterator<Item = (u16, u16)> {
    let n = u16::try_from(n).unwrap_or(COLUMNS);
    let (each, over) = (COLUMNS / n, COLUMNS % n);
    (0..n).map(move |i| (i * each + i.min(over), each + u16::from(i < over)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Folder;
    use crate::subject::Subject;
    use crate::unit::Unit;

    fn places(stats: usize, charts: usize) -> Vec<(u16, u16, u16)> {
        let stat = (0..stats).map(|_| Panel::stat("a", Unit::Count, "b"));
        let chart = (0..charts).map(|_| Panel::lines("a", Unit::Count, "b"));
        let board = Board::new("a", "a", Folder::Pulse, Subject::Collector, "a").row("?", stat.chain(chart));
        place(&board)[0].panels.iter().map(|(place, _)| (place.x, place.y, place.w)).collect()
    }

    #[test]
    fn panels_share_their_line() {
        assert_eq!(places(0, 1), [(0, 1, 24)]);
        assert_eq!(places(0, 3), [(0, 1, 8), (8, 1, 8), (16, 1, 8)]);
        assert_eq!(places(0, 4), [(0, 1, 12), (12, 1, 12), (0, 10, 12), (12, 10, 12)]);
        assert_eq!(places(5, 0), [(0, 1, 5), (5, 1, 5), (10, 1, 5), (15, 1, 5), (20, 1, 4)]);
        assert_eq!(places(1, 2), [(0, 1, 24), (0, 5, 12), (12, 5, 12)]);
    }
}
