//! Packages and what the lock file and cargo say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace::{captured, cargo, root};

/// The packages that are published.
pub(crate) const PUBLISHED: &[&str] = &[
    "underpin-core",
    "underpin-privacy",
    "underpin-data",
    "underpin-train",
    "underpin-serve",
    "underpin-metrics",
    "underpin",
    "underpin-cli",
];

/// The source that the lock file names for packages of crates.io.
pub(crate) const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A name and a version: in one lock file there is one package of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The normal dependencies of one package, directly and indirectly.
#[derive(Debug)]
pub(crate) struct Graph {
    /// The package itself.
    pub(crate) root: Id,
    /// Each package, the root too, with those it depends on.
    pub(crate) edges: BTreeMap<Id, BTreeSet<Id>>,
    /// Those whose code is in the binary: the others are macros, and what only macros use.
    pub(crate) linked: BTreeSet<Id>,
}

/// An entry of the lock file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locked {
    /// Where the package comes from; absent for those of the workspace.
    pub(crate) source: Option<String>,
    /// The SHA-256 of the package's archive in its registry.
    pub(crate) checksum: Option<String>,
}

/// The normal dependencies of `package` on `target`, with the features that a build of it alone has.
pub(crate) fn graph(package: &str, target: &str) -> Result<Graph> {
    let line = ["tree", "--locked", "--package", package, "--target", target, "--edges", "normal"];
    parsed(&captured(cargo(&line).args(["--prefix", "depth", "--format", "|{p}|"]))?)
}

/// Reads lines such as `2|serde v1.0.228 (proc-macro)| (*)`: depth, package; a star where its own were shown before.
fn parsed(text: &str) -> Result<Graph> {
    let mut above: Vec<Id> = Vec::new();
    let (mut edges, mut macros) = (BTreeMap::<Id, BTreeSet<Id>>::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let unread = || format!("cargo tree printed {line:?}, not DEPTH|NAME vVERSION|");
        let mut fields = line.split('|');
        let depth: usize = fields.next().and_then(|field| field.parse().ok()).with_context(unread)?;
        let mut words = fields.next().with_context(unread)?.split(' ');
        let name = words.next().with_context(unread)?.to_owned();
        let version = words.next().and_then(|word| word.strip_prefix('v')).with_context(unread)?.to_owned();
        let id = Id { name, version };
        if words.any(|word| word == "(proc-macro)") {
            macros.insert(id.clone());
        }
        ensure!(depth <= above.len(), unread());
        above.truncate(depth);
        if let Some(parent) = above.last() {
            edges.entry(parent.clone()).or_default().insert(id.clone());
        }
        edges.entry(id.clone()).or_default();
        above.push(id);
    }
    let root = above.first().cloned().context("cargo tree printed nothing")?;
    let (mut linked, mut left) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(id) = left.pop() {
        if !macros.contains(&id) && linked.insert(id.clone()) {
            left.extend(edges[&id].iter().cloned());
        }
    }
    Ok(Graph { root, edges, linked })
}

/// What is compiled for `target` when the whole workspace is built and tested with all features.
///
/// `cargo metadata` lists more: what a feature names weakly, though nothing switches it on.
pub(crate) fn built(target: &str) -> Result<BTreeSet<Id>> {
    let line = ["tree", "--locked", "--workspace", "--all-features", "--target", target, "--edges", "normal,build,dev"];
    Ok(parsed(&captured(cargo(&line).args(["--prefix", "depth", "--format", "|{p}|"]))?)?.edges.into_keys().collect())
}

/// What each package says of itself (`cargo metadata`), those of the platform `target` only.
pub(crate) fn details(target: &str) -> Result<BTreeMap<Id, Value>> {
    let text = captured(&mut cargo(&[
        "metadata",
        "--locked",
        "--all-features",
        "--format-version",
        "1",
        "--filter-platform",
        target,
    ]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().into_iter().flatten().filter_map(|node| node["id"].as_str()).collect();
    let used = packages.iter().filter(|package| package["id"].as_str().is_some_and(|id| used.contains(id)));
    used.map(|package| {
        let text =
            |key: &str| package[key].as_str().map(str::to_owned).with_context(|| format!("a package has no {key}"));
        Ok((Id { name: text("name")?, version: text("version")? }, package.clone()))
    })
    .collect()
}

/// The entries of the workspace's lock file.
pub(crate) fn lock() -> Result<BTreeMap<Id, Locked>> {
    let path = root().join("Cargo.lock");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lock: toml::Table = text.parse().with_context(|| path.display().to_string())?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock lists no packages")?;
    packages
        .iter()
        .map(|package| {
            let text = |key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
            let need = |key: &str| text(key).with_context(|| format!("a package of Cargo.lock has no {key}"));
            let id = Id { name: need("name")?, version: need("version")? };
            Ok((id, Locked { source: text("source"), checksum: text("checksum") }))
        })
        .collect()
}

/// Writes the archives that crates.io would receive; the compilation is checked elsewhere.
pub(crate) fn package() -> Result<()> {
    let mut command = cargo(&["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for name in PUBLISHED {
        command.args(["--package", name]);
    }
    let status = command.status().context("cargo package")?;
    ensure!(status.success(), "packages failed ({status})");
    Ok(())
}

/// The folder that cargo builds into.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let text = captured(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    metadata["target_directory"].as_str().map(PathBuf::from).context("cargo metadata names no target folder")
}

/// The folder where cargo keeps the sources of dependencies.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    let given = std::env::var_os("CARGO_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    given.or_else(home).context("neither CARGO_HOME nor HOME is set")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str, version: &str) -> Id {
        Id { name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn what_only_macros_use_is_not_linked() {
        let text = "0|top v0.1.0 (/there)|\n1|derive v1.0.0 (proc-macro)|\n2|syn v2.0.0|\n3|ident v1.2.3|\n\
                    1|plain v3.0.0|\n2|ident v1.2.3| (*)\n2|derive v1.0.0 (proc-macro)| (*)\n";
        let graph = parsed(text).unwrap();
        assert_eq!(graph.root, id("top", "0.1.0"));
        assert_eq!(graph.edges.len(), 5);
        assert_eq!(graph.edges[&id("plain", "3.0.0")], [id("derive", "1.0.0"), id("ident", "1.2.3")].into());
        let linked: Vec<&str> = graph.linked.iter().map(|id| &*id.name).collect();
        assert_eq!(linked, ["ident", "plain", "top"]);
    }

    #[test]
    fn lines_that_are_not_understood_are_errors() {
        for text in ["", "x|a v1|", "0|a 1|", "1|a v1|", "0|a v1|\n2|b v1|"] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
    }
}
