//! The boards as pages without Grafana: what each panel shows of a running Prometheus, laid out as on the board. One self-contained file a board.

mod chart;
mod heat;
mod page;
mod panel;
mod plane;
mod scale;
mod series;
mod text;

use std::io;
use std::path::{Path, PathBuf};

use crate::live::Seen;

/// Writes a page for each board that was looked at, and an index of them.
///
/// # Errors
/// What the file system refused.
pub fn write(directory: &Path, boards: &[Seen]) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(directory)?;
    let mut files = vec![directory.join("index.html")];
    std::fs::write(&files[0], page::index(boards))?;
    for seen in boards {
        let file = directory.join(page::file(&seen.board));
        std::fs::write(&file, page::board(seen, boards))?;
        files.push(file);
    }
    Ok(files)
}
