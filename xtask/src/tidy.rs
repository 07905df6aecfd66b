//! The order of the house, checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace::{captured, cargo, root};
use crate::{circles, links, readme};

/// Which workspace packages a package may use (ARCHITECTURE.md, "Rooms and the one direction of imports").
const ARROWS: &[(&str, &[&str])] = &[
    ("underpin-core", &[]),
    ("underpin-privacy", &["underpin-core"]),
    ("underpin-data", &["underpin-core", "underpin-privacy"]),
    ("underpin-train", &["underpin-core", "underpin-privacy"]),
    ("underpin-serve", &["underpin-core", "underpin-privacy"]),
    ("underpin-metrics", &["underpin-core", "underpin-privacy"]),
    (
        "underpin",
        &["underpin-core", "underpin-privacy", "underpin-data", "underpin-train", "underpin-serve", "underpin-metrics"],
    ),
    (
        "underpin-cli",
        &[
            "underpin",
            "underpin-core",
            "underpin-privacy",
            "underpin-data",
            "underpin-train",
            "underpin-serve",
            "underpin-metrics",
        ],
    ),
];

/// No file is longer.
const MAX_LINES: usize = 500;

/// Checks everything and names all that is wrong.
pub(crate) fn run() -> Result<ExitCode> {
    eprintln!("── tidy");
    let mut faults = Vec::new();
    faults.extend(wrong_arrows()?);
    faults.extend(second_builds()?);
    faults.extend(circles_of_files()?);
    faults.extend(links::dead(root())?);
    let sources = sources(root())?;
    faults.extend(long_files(&sources));
    faults.extend(guarantees_without_test(&sources));
    faults.extend(readme::differences()?);
    ensure!(faults.is_empty(), "not tidy:\n  {}", faults.join("\n  "));
    Ok(ExitCode::SUCCESS)
}

/// Normal dependencies between workspace packages that the architecture does not allow.
fn wrong_arrows() -> Result<Vec<String>> {
    let metadata: Value =
        serde_json::from_str(&captured(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?)?;
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists no packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"].is_null() && dependency["path"].is_string() && !allowed.contains(&to) {
                faults.push(format!("{name} must not depend on {to} (ARCHITECTURE.md)"));
            }
        }
    }
    Ok(faults)
}

/// Circles of files in each package of the workspace.
fn circles_of_files() -> Result<Vec<String>> {
    let metadata: Value =
        serde_json::from_str(&captured(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?)?;
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists no packages")? {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok()).unwrap_or(manifest);
        let mut found = Vec::new();
        for name in ["src/lib.rs", "src/main.rs"] {
            let path = root().join(folder).join(name);
            if path.is_file() {
                found.extend(circles::of(&path)?);
            }
        }
        faults.extend(found.iter().map(|circle| format!("{}: {circle}", folder.display())));
    }
    Ok(faults)
}

/// Dependencies that `cargo xtask` would build with other features than `cargo test` does, and so build twice.
fn second_builds() -> Result<Vec<String>> {
    let tree = |scope: &[&str]| -> Result<BTreeSet<String>> {
        let text = captured(cargo(&["tree", "--prefix", "none", "--format", "{p} [{f}]"]).args(scope))?;
        let lines = text.lines().filter(|line| !line.ends_with("(*)") && !line.contains(" (proc-macro)"));
        Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
    };
    let alone = tree(&["--package", "xtask", "--edges", "normal,build"])?;
    let together = tree(&["--workspace", "--edges", "normal,build,dev"])?;
    let extra = alone.difference(&together);
    Ok(extra
        .map(|line| {
            format!("{line} is built with other features by `cargo test`: switch them on in xtask/unify/Cargo.toml")
        })
        .collect())
}

/// Every Rust source of the workspace with its text.
fn sources(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                found.push((path, text));
            }
        }
    }
    Ok(found)
}

fn long_files(sources: &[(PathBuf, String)]) -> Vec<String> {
    let lines = |(path, text): &(PathBuf, String)| (path.display().to_string(), text.lines().count());
    let long = sources.iter().map(lines).filter(|(_, lines)| *lines > MAX_LINES);
    long.map(|(path, lines)| format!("{path} has {lines} lines; {MAX_LINES} are allowed")).collect()
}

/// Numbered guarantees whose docstring names no test that exists.
fn guarantees_without_test(sources: &[(PathBuf, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        for (line, guarantee) in guarantees(text) {
            let named = guarantee.split('`').skip(1).step_by(2);
            let tested = |name: &str| {
                // What does not compile is tested by the documentation's examples.
                if name == "compile_fail" {
                    return text.contains("```compile_fail")
                        || sources.iter().any(|(_, text)| text.contains("```compile_fail"));
                }
                let test = format!("fn {}(", name.rsplit("::").next().unwrap_or(name));
                sources.iter().any(|(_, text)| text.contains(&test))
            };
            if !named.into_iter().any(tested) {
                faults.push(format!("{}:{line}: this guarantee names no test that exists", path.display()));
            }
        }
    }
    faults
}

/// The numbered items under each `# Guarantees` heading: line and text.
fn guarantees(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut within = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            within = false;
            continue;
        };
        let doc = doc.trim();
        if doc.starts_with('#') {
            within = doc == "# Guarantees";
        } else if within && doc.split_once(". ").is_some_and(|(head, _)| head.parse::<u32>().is_ok()) {
            found.push((number + 1, doc.to_owned()));
        } else if let (true, Some((_, item))) = (within, found.last_mut()) {
            item.push(' ');
            item.push_str(doc);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Vec<(PathBuf, String)> {
        vec![(PathBuf::from("a.rs"), text.to_owned())]
    }

    #[test]
    fn a_guarantee_must_name_a_test_that_exists() {
        let docs = "/// # Guarantees\n///\n/// 1. It holds:\n///    `it_holds`.\n/// 2. Always.\nfn f() {}\n";
        assert_eq!(guarantees_without_test(&source(docs)).len(), 2);
        let tested = format!("{docs}#[test]\nfn it_holds() {{}}\n");
        let faults = guarantees_without_test(&source(&tested));
        assert_eq!(faults, ["a.rs:5: this guarantee names no test that exists"]);
    }

    #[test]
    fn long_files_are_named() {
        assert!(long_files(&source(&"\n".repeat(MAX_LINES))).is_empty());
        assert_eq!(long_files(&source(&"\n".repeat(MAX_LINES + 1))).len(), 1);
    }

    #[test]
    fn the_workspace_has_no_wrong_arrow() {
        assert_eq!(wrong_arrows().unwrap(), Vec::<String>::new());
    }
}
