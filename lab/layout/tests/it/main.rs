//! The tree's layout, as ARCHITECTURE.md states it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what tests share")]

mod known;

use std::collections::BTreeSet;
use std::path::Path;

use pulse_layout::{Circle, Crate, Import, circles, crates, imports, sources};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Asks every crate for its circles and holds them to those that are known: each is within one of them, and none of them is gone.
fn check(known: &[(&str, &str)], find: impl Fn(&Crate) -> Vec<Circle>) {
    let mut gone: BTreeSet<(&str, &str)> = known.iter().copied().collect();
    let mut found = String::new();
    for one in crates(root()).unwrap() {
        for circle in find(&one) {
            let is_within = |files: &str| circle.files.iter().all(|file| files.split(' ').any(|known| known == file));
            match known.iter().find(|(folder, files)| *folder == one.folder && is_within(files)) {
                Some(known) => {
                    gone.remove(known);
                }
                None => {
                    found += &format!("{}: {}\n{circle}", one.folder, Vec::from_iter(circle.files.iter().map(String::as_str)).join(" "));
                }
            }
        }
    }
    assert!(found.is_empty(), "these import each other in a circle:\n{found}");
    assert!(gone.is_empty(), "these circles are gone: take them out of known.rs: {gone:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    check(known::FILES, |one| circles(&imports(one)));
}

/// A room is a module at the root of a crate, with all that is below it. The root itself is above all of them.
#[test]
fn rooms_import_one_way() {
    check(known::ROOMS, |one| circles(&imports(one).into_iter().filter_map(|import| between_rooms(&import)).collect()));
}

fn between_rooms(import: &Import) -> Option<Import> {
    let room = |file: &str| file.split('/').next().unwrap_or_default().to_owned();
    let (from, to) = (room(&import.from), room(&import.to));
    (from != to && from != "lib" && from != "main").then_some(Import { from, to, item: format!("{} in {}", import.item, import.from) })
}

#[test]
fn a_circle_is_found_and_named() {
    let import = |from: &str, to: &str| Import { from: from.to_owned(), to: to.to_owned(), item: "crate::Item".to_owned() };
    let found = circles(&BTreeSet::from([import("a", "b"), import("b", "c"), import("c", "a"), import("c", "d")]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].to_string(), "  a -> b (crate::Item)\n  b -> c (crate::Item)\n  c -> a (crate::Item)\n");
}

#[test]
fn imports_are_followed_to_the_file_that_defines_the_item() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("shop/src");
    std::fs::create_dir_all(src.join("order")).unwrap();
    std::fs::write(folder.path().join("shop/Cargo.toml"), "").unwrap();
    let files = [
        ("lib.rs", "mod order; mod price; pub use order::Order; pub struct Shop;"),
        ("order.rs", "mod line; pub use line::{Line as Row, total}; pub struct Order { rows: Vec<Row> }"),
        (
            "order/line.rs",
            "use std::fmt; pub struct Line; pub fn total() { log!(\"{}\", crate::price::of()) } #[cfg(test)] mod tests { use crate::Shop; }",
        ),
        ("price.rs", "use crate::order::{self, Row}; pub fn of() { let _ = (order::total, crate::Order::new); }"),
    ];
    for (file, text) in files {
        std::fs::write(src.join(file), text).unwrap();
    }
    let shop = &crates(folder.path()).unwrap()[0];
    assert_eq!(shop.folder, "shop");
    let found: Vec<String> = imports(shop).into_iter().map(|one| format!("{} -> {} {}", one.from, one.to, one.item)).collect();
    let expected = [
        "lib -> order order::Order",
        "order -> order/line line::Line",
        "order -> order/line line::total",
        "order/line -> price crate::price::of",
        "price -> order crate::Order::new",
        "price -> order/line crate::order::Row",
        "price -> order/line order::total",
    ];
    assert_eq!(found, expected);
}

#[test]
fn half_of_the_files_have_at_most_110_lines() {
    let count = |path| std::fs::read_to_string(path).unwrap().lines().count();
    let mut lines: Vec<usize> = sources(root()).into_iter().map(count).collect();
    lines.sort_unstable();
    assert!(lines.len() > 100, "{} files were found", lines.len());
    let median = lines[lines.len() / 2];
    assert!(median <= 110, "half of the files have more than {median} lines");
}
