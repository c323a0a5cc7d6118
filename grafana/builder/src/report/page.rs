//! A board's page, and the index of all.

use super::panel;
use super::text::{escaped, moment};
use crate::board::Board;
use crate::layout::{self, COLUMNS};
use crate::live::{self, Seen};

const STYLE: &str = include_str!("page.css");

/// The name of a board's page.
pub(super) fn file(board: &Board) -> String {
    format!("{}.html", board.uid)
}

/// All boards, with what is wrong on each.
pub(super) fn index(boards: &[Seen]) -> String {
    let rows: String = boards.iter().map(index_row).collect();
    let head = "<tr><th>Board</th><th>What it is for</th><th>Panels</th><th>Without the data they should have</th></tr>";
    html("Pulse's boards", &format!("<h1>Pulse's boards</h1><table class=\"index\">{head}{rows}</table>"))
}

fn index_row(seen: &Seen) -> String {
    let board = &seen.board;
    let findings = live::findings(seen);
    let list: String = findings.iter().map(|finding| format!("<li>{}</li>", escaped(&finding.to_string()))).collect();
    let found = if findings.is_empty() { "none".to_owned() } else { format!("<ul>{list}</ul>") };
    format!(
        "<tr><td><a href=\"{}\">{} / {}</a></td><td>{}</td><td>{}</td><td>{found}</td></tr>",
        file(board),
        board.folder.name(),
        escaped(board.title),
        escaped(board.description),
        board.panels().count()
    )
}

/// One board.
pub(super) fn board(seen: &Seen, all: &[Seen]) -> String {
    let board = &seen.board;
    let links: String = all.iter().map(|other| link(other, seen)).collect();
    let mut body = format!(
        "<nav><a href=\"index.html\">All boards</a>{links}</nav><h1>{}</h1><p>{} {}</p><div class=\"grid\">",
        escaped(board.title),
        escaped(board.description),
        escaped(&span(seen)),
    );
    let mut answers = seen.panels.iter();
    for placed in layout::place(board) {
        body += &format!("<h2 style=\"grid-column: span {COLUMNS}\">{}</h2>", escaped(placed.row.question));
        for (place, panel) in placed.panels {
            let answers = answers.next().map(Vec::as_slice).unwrap_or_default();
            body += &panel::card(panel, place, answers, &seen.times);
        }
    }
    body += "</div>";
    html(&format!("{} – Pulse", board.title), &body)
}

fn link(other: &Seen, here: &Seen) -> String {
    let class = if other.board.uid == here.board.uid { " class=\"here\"" } else { "" };
    format!("<a href=\"{}\"{class}>{}</a>", file(&other.board), escaped(other.board.title))
}

fn span(seen: &Seen) -> String {
    format!("Shown: {} to {} UTC.", moment(seen.times.start, "%Y-%m-%d %H:%M:%S"), moment(seen.times.end, "%H:%M:%S"))
}

fn html(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>\n",
        escaped(title)
    )
}
