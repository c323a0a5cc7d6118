//! The files of the boards in the repository: a folder for each of Grafana's, a file a board.

use std::io;
use std::path::{Path, PathBuf};

use crate::board::Board;
use crate::{boards, render};

/// The folder of the boards in the repository.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// The path of a board's file within that folder.
pub fn path(board: &Board) -> PathBuf {
    Path::new(board.folder.name()).join(board.uid).with_extension("json")
}

/// Writes every board, and removes files that are no board's.
///
/// # Errors
/// What the file system refused.
pub fn write(directory: &Path) -> io::Result<()> {
    let boards = boards::all();
    for file in present(directory)? {
        if boards.iter().all(|board| path(board) != file) {
            std::fs::remove_file(directory.join(file))?;
        }
    }
    for board in &boards {
        let file = directory.join(path(board));
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, render::json(board)?)?;
    }
    Ok(())
}

/// The boards' files that are there, by their paths within the folder.
///
/// # Errors
/// What the file system refused.
pub fn present(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !directory.exists() {
        return Ok(files);
    }
    for folder in std::fs::read_dir(directory)? {
        let folder = folder?;
        if folder.file_type()?.is_dir() {
            for file in std::fs::read_dir(folder.path())? {
                files.push(Path::new(&folder.file_name()).join(file?.file_name()));
            }
        }
    }
    files.sort();
    Ok(files)
}
