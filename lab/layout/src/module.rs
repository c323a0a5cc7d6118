//! What a module defines, what it brings in, and which paths its code names.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree};

/// A path as it is written, split at its `::`.
pub(crate) type Path = Vec<String>;

/// A module, in a file of its own or inline in another's.
#[derive(Debug)]
pub struct Module {
    /// Its file below `src`, without the ending.
    pub file: String,
    /// Its path from the crate's root.
    pub place: Vec<String>,
    pub(crate) defines: BTreeSet<String>,
    pub(crate) uses: Vec<Use>,
    pub(crate) paths: BTreeSet<Path>,
}

/// One name of a `use`.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) path: Path,
    /// The name that it has here; `*` for all of a module's.
    pub(crate) name: String,
}

/// Adds the module and those that are inline in it, without test code.
pub(crate) fn read(file: &str, place: Vec<String>, items: Vec<Item>, into: &mut Vec<Module>) {
    let mut module = Module { file: file.to_owned(), place, defines: BTreeSet::new(), uses: Vec::new(), paths: BTreeSet::new() };
    for item in items {
        if is_test(attributes(&item)) {
            continue;
        }
        match item {
            Item::Use(item) => names(&item.tree, &mut Vec::new(), &mut module.uses),
            Item::Mod(item) => {
                if let Some((_, items)) = item.content {
                    let mut place = module.place.clone();
                    place.push(item.ident.to_string());
                    read(file, place, items, into);
                }
            }
            item => {
                module.defines.extend(defined(&item));
                paths(item.into_token_stream(), &mut module.paths);
            }
        }
    }
    into.push(module);
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string().replace(' ', "");
        text == "test" || text.starts_with("cfg(test") || text.starts_with("cfg(all(test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn names(tree: &UseTree, before: &mut Path, into: &mut Vec<Use>) {
    let mut leaf = |last: Option<String>, name: String| {
        let path = before.iter().cloned().chain(last).collect();
        into.push(Use { path, name });
    };
    match tree {
        UseTree::Path(tree) => {
            before.push(tree.ident.to_string());
            names(&tree.tree, before, into);
            before.pop();
        }
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| names(tree, before, into)),
        UseTree::Glob(_) => leaf(None, "*".to_owned()),
        UseTree::Name(tree) if tree.ident == "self" => {
            let name = before.last().cloned().unwrap_or_default();
            into.push(Use { path: before.clone(), name });
        }
        UseTree::Name(tree) => leaf(Some(tree.ident.to_string()), tree.ident.to_string()),
        UseTree::Rename(tree) => leaf(Some(tree.ident.to_string()), tree.rename.to_string()),
    }
}

/// Every `a::b::c` in the code, also in what is handed to macros.
fn paths(tokens: TokenStream, into: &mut BTreeSet<Path>) {
    let (mut path, mut colons) = (Path::new(), 0);
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path, into);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
            other => {
                end(&mut path, into);
                colons = 0;
                if let TokenTree::Group(group) = other {
                    paths(group.stream(), into);
                }
            }
        }
    }
    end(&mut path, into);
}

fn end(path: &mut Path, into: &mut BTreeSet<Path>) {
    if path.len() > 1 {
        into.insert(std::mem::take(path));
    }
    path.clear();
}
