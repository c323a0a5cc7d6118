//! From the paths that a module names to the files that define what they mean.

use std::collections::{BTreeSet, HashMap};

use crate::module::{Module, Path, Use};
use crate::tree::Crate;

/// A file uses what another file of its crate defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: String,
    pub to: String,
    /// What is used, as the file names it.
    pub item: String,
}

/// Every import between files of a crate.
pub fn imports(one: &Crate) -> BTreeSet<Import> {
    let resolver = Resolver { modules: one.modules.iter().map(|module| (module.place.as_slice(), module)).collect() };
    let mut imports = BTreeSet::new();
    for module in &one.modules {
        for path in module.uses.iter().map(|one| &one.path).chain(&module.paths) {
            let defined_in = resolver.absolute(module, path).and_then(|path| resolver.file(&path, &mut Vec::new()));
            if let Some(to) = defined_in.filter(|to| *to != module.file) {
                imports.insert(Import { from: module.file.clone(), to: to.to_owned(), item: path.join("::") });
            }
        }
    }
    imports
}

struct Resolver<'a> {
    modules: HashMap<&'a [String], &'a Module>,
}

impl<'a> Resolver<'a> {
    /// The path from the crate's root; none for what is of another crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Path> {
        let (head, rest) = path.split_first()?;
        let from = |place: &[String]| place.iter().chain(rest).cloned().collect();
        match head.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(from(&module.place)),
            "super" => {
                let above = rest.iter().take_while(|segment| *segment == "super").count();
                let kept = module.place.len().checked_sub(above + 1)?;
                Some(module.place[..kept].iter().chain(&rest[above..]).cloned().collect())
            }
            _ => {
                let child: Path = module.place.iter().chain([head]).cloned().collect();
                if self.modules.contains_key(child.as_slice()) {
                    return Some(from(&child));
                }
                let brought = module.uses.iter().find(|one| one.name == *head && one.path.first() != Some(head))?;
                Some(self.absolute(module, &brought.path)?.iter().chain(rest).cloned().collect())
            }
        }
    }

    /// The file that defines what a path from the root names; none for a module as such and for what is of another crate.
    fn file(&self, path: &[String], seen: &mut Vec<Path>) -> Option<&'a str> {
        let depth = (0..=path.len()).rev().find(|depth| self.modules.contains_key(&path[..*depth]))?;
        let (module, rest) = (self.modules[&path[..depth]], &path[depth..]);
        let (name, after) = rest.split_first()?;
        if module.defines.contains(name) {
            return Some(&module.file);
        }
        if seen.iter().any(|seen| seen == path) {
            return None;
        }
        seen.push(path.to_vec());
        let follow = |one: &Use, rest: &[String], seen: &mut Vec<Path>| {
            let target: Path = self.absolute(module, &one.path)?.iter().chain(rest).cloned().collect();
            self.file(&target, seen)
        };
        if let Some(one) = module.uses.iter().find(|one| one.name == *name) {
            return follow(one, after, seen);
        }
        let by_glob = module.uses.iter().filter(|one| one.name == "*").find_map(|one| follow(one, rest, seen));
        // What a macro defines is not seen: it is the module's own.
        by_glob.or(Some(&module.file))
    }
}
