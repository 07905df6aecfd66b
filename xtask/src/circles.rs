//! Circles of files inside a crate: files that import each other, directly or by way of others.
//!
//! An edge leads from a file to the file that *defines* what it names: imports and paths in code are resolved through `use`
//! and `pub use`. A module file that only declares and re-exports its children defines nothing, so no edge ends there.
//! What is compiled for tests only (`#[cfg(test)]`) does not count.

mod resolve;
mod scan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use anyhow::Result;

use resolve::{Crate, Edges};

/// Every circle of files in the crate whose root file (`src/lib.rs`, `src/main.rs`) this is, described file by file.
pub(crate) fn of(root: &Path) -> Result<Vec<String>> {
    let edges = Crate::read(root)?.edges();
    Ok(components(&edges).iter().map(|component| describe(&edges, component)).collect())
}

/// The sets of two or more files of which each reaches each.
fn components(edges: &Edges) -> Vec<BTreeSet<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = edges.keys().map(|from| (from, reached(edges, from))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (from, there) in &reach {
        let back = |to: &&&String| reach.get(**to).is_some_and(|back| back.contains(from));
        let component: BTreeSet<String> = there.iter().filter(back).map(|to| (*to).clone()).collect();
        if component.len() > 1 && !found.contains(&component) {
            found.push(component);
        }
    }
    found
}

/// Files to which a way of one edge or more leads.
fn reached<'a>(edges: &'a Edges, from: &String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = edges.get(from).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(next) = open.pop() {
        if seen.insert(next) {
            open.extend(edges.get(next).into_iter().flat_map(BTreeMap::keys));
        }
    }
    seen
}

/// The shortest circle within a component, with what is imported at each step, and how many files hang together.
fn describe(edges: &Edges, component: &BTreeSet<String>) -> String {
    let shortest = component.iter().filter_map(|from| circle(edges, from)).min_by_key(Vec::len).unwrap_or_default();
    let step = |pair: &[String]| format!("{} imports {} from {}", pair[0], edges[&pair[0]][&pair[1]], pair[1]);
    let steps: Vec<String> = shortest.windows(2).map(step).collect();
    let mut text = format!("circle of files: {}", steps.join(", "));
    if component.len() > shortest.len().saturating_sub(1) {
        let all: Vec<&str> = component.iter().map(String::as_str).collect();
        text = format!("{text}; {} files hang together: {}", component.len(), all.join(", "));
    }
    text
}

/// The shortest way from a file back to itself, both ends included.
fn circle(edges: &Edges, from: &String) -> Option<Vec<String>> {
    let mut before: BTreeMap<&String, &String> = BTreeMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(at) = open.pop_front() {
        for to in edges.get(at).into_iter().flat_map(BTreeMap::keys) {
            if to == from {
                let mut way = vec![from.clone(), at.clone()];
                while let Some(previous) = before.get(way.last()?) {
                    way.push((*previous).clone());
                }
                // A file that leads straight back is its own start.
                way.dedup();
                way.reverse();
                way.push(from.clone());
                way.dedup();
                return Some(way);
            }
            if to != from && !before.contains_key(to) {
                before.insert(to, at);
                open.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
