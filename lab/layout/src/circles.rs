//! Circles: files, or rooms, each of which needs the next and at last the first.

use std::collections::BTreeSet;
use std::fmt;

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::imports::Import;

/// Files that all need each other, with the imports between them.
#[derive(Debug)]
pub struct Circle {
    pub files: BTreeSet<String>,
    imports: BTreeSet<Import>,
}

impl fmt::Display for Circle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.imports.iter().try_for_each(|Import { from, to, item }| writeln!(out, "  {from} -> {to} ({item})"))
    }
}

/// The circles that the imports make.
pub fn circles(imports: &BTreeSet<Import>) -> Vec<Circle> {
    let graph: DiGraphMap<&str, ()> = imports.iter().map(|one| (one.from.as_str(), one.to.as_str())).collect();
    let groups = tarjan_scc(&graph).into_iter().filter(|group| group.len() > 1);
    groups
        .map(|group| {
            let files: BTreeSet<String> = group.into_iter().map(str::to_owned).collect();
            let within = |one: &&Import| files.contains(&one.from) && files.contains(&one.to);
            Circle { imports: imports.iter().filter(within).cloned().collect(), files }
        })
        .collect()
}
