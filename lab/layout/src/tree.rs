//! The workspace's crates and source files, as they lie on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::module::{Module, read};

/// A crate of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// Its folder below the workspace's root, such as `services/store`.
    pub folder: String,
    pub modules: Vec<Module>,
}

/// A source file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read as Rust", path.display())]
pub struct ReadError {
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl ReadError {
    fn new(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { path: path.to_owned(), source: source.into() }
    }
}

/// Every Rust file below `root`, but for what is built or fetched.
pub fn sources(root: &Path) -> Vec<PathBuf> {
    files(root).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Every crate below `root` that has sources of its own.
///
/// # Errors
/// When a source file cannot be read.
pub fn crates(root: &Path) -> Result<Vec<Crate>, ReadError> {
    let manifests = files(root).into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let folders = manifests.filter_map(|manifest| manifest.parent().map(Path::to_owned)).filter(|folder| folder.join("src").is_dir());
    folders.map(|folder| Ok(Crate { modules: modules(&folder.join("src"))?, folder: name(root, &folder) })).collect()
}

fn modules(src: &Path) -> Result<Vec<Module>, ReadError> {
    let has_library = src.join("lib.rs").exists();
    let mut modules = Vec::new();
    for path in sources(src) {
        let file = name(src, &path.with_extension(""));
        if file.starts_with("bin/") || (file == "main" && has_library) {
            continue;
        }
        let place = if file == "lib" || file == "main" { Vec::new() } else { file.split('/').map(str::to_owned).collect() };
        let text = fs::read_to_string(&path).map_err(|error| ReadError::new(&path, error))?;
        let parsed = syn::parse_file(&text).map_err(|error| ReadError::new(&path, error))?;
        read(&file, place, parsed.items, &mut modules);
    }
    Ok(modules)
}

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(|entry| entry.depth() == 0 || !is_foreign(entry));
    entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).map(DirEntry::into_path).collect()
}

fn is_foreign(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.file_type().is_dir() && (name.starts_with('.') || name == "node_modules" || entry.path().join("CACHEDIR.TAG").exists())
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
