//! Licences, sources, bans and advisories of all dependencies, by deny.toml.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::packages::{self, Id};
use crate::workspace::{captured, root};

/// The rules.
const RULES: &str = "deny.toml";

/// Checks the dependencies with cargo-deny where it is installed; else checks licences, sources and bans without it.
///
/// Advisories are read from a local copy of the advisory database only, so that the result does not depend on the day.
///
/// # Errors
///
/// When a dependency breaks a rule of deny.toml.
pub(crate) fn run() -> Result<()> {
    eprintln!("── dependencies");
    let program = |arguments: &[&str]| {
        let mut command = Command::new("cargo-deny");
        command.args(arguments).current_dir(root());
        command
    };
    if let Err(error) = program(&["--version"]).output() {
        eprintln!("   cargo-deny is not installed ({error}): licences, sources and bans are checked without it");
        eprintln!("   advisories are not checked (`cargo install cargo-deny --locked`)");
        return without_program();
    }
    let databases = packages::cargo_home()?.join("advisory-dbs");
    let mut checks = vec!["check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    if databases.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        checks.insert(1, "--disable-fetch");
        checks.push("advisories");
    } else {
        eprintln!("   advisories are not checked: no database in {} (`cargo deny fetch db`)", databases.display());
    }
    let status = program(&checks).status().context("cargo-deny")?;
    ensure!(status.success(), "cargo-deny refuses a dependency ({status})");
    Ok(())
}

/// Licences and bans of the packages that are built on this platform, sources of all.
fn without_program() -> Result<()> {
    let path = root().join(RULES);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let rules = rules(&text).context(RULES)?;
    let host = host()?;
    let built = packages::built(&host)?;
    let mut details = packages::details(&host)?;
    details.retain(|id, _| built.contains(id));
    ensure!(details.len() == built.len(), "cargo metadata does not list every package that is built");
    let lock = packages::lock()?;
    let mut faults = licence_faults(&details, &rules);
    for id in details.keys() {
        if let Some(reason) = rules.banned.get(&id.name) {
            faults.push(format!("{} {}: banned: {reason}", id.name, id.version));
        }
    }
    for (id, locked) in &lock {
        if locked.source.as_deref().is_some_and(|source| source != packages::CRATES_IO) {
            faults.push(format!("{} {}: does not come from crates.io", id.name, id.version));
        }
    }
    ensure!(faults.is_empty(), "dependencies that {RULES} refuses:\n  {}", faults.join("\n  "));
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for id in details.keys() {
        *versions.entry(&id.name).or_default() += 1;
    }
    let several: Vec<&str> = versions.iter().filter(|(_, count)| **count > 1).map(|(name, _)| *name).collect();
    eprintln!(
        "   {} packages on {host}, {} of them in several versions: {}",
        details.len(),
        several.len(),
        several.join(", ")
    );
    Ok(())
}

/// The triple of this machine.
fn host() -> Result<String> {
    let text = captured(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(line.to_owned())
}

/// What is read of deny.toml here.
#[derive(Debug)]
struct Rules {
    /// Licences that are allowed, exceptions (`WITH`) written out.
    licences: BTreeSet<String>,
    /// The expression for packages that state a file instead.
    clarified: BTreeMap<String, String>,
    /// Packages that must not be used at all, with the reason.
    banned: BTreeMap<String, String>,
}

fn rules(text: &str) -> Result<Rules> {
    let table: toml::Table = text.parse()?;
    let list = |section: &str, key: &str| {
        let value = table.get(section).and_then(|section| section.get(key)).and_then(toml::Value::as_array);
        value.with_context(|| format!("[{section}] has no list {key}"))
    };
    let word = |value: &toml::Value, key: &str| {
        value.get(key).and_then(toml::Value::as_str).map(str::to_owned).with_context(|| format!("{value} has no {key}"))
    };
    let licences =
        list("licenses", "allow")?.iter().map(|value| value.as_str().map(str::to_owned).context("not a word"));
    let banned = list("bans", "deny")?.iter().map(|value| Ok((word(value, "crate")?, word(value, "reason")?)));
    let clarified =
        list("licenses", "clarify")?.iter().map(|value| Ok((word(value, "crate")?, word(value, "expression")?)));
    Ok(Rules {
        clarified: clarified.collect::<Result<_>>()?,
        licences: licences.collect::<Result<_>>()?,
        banned: banned.collect::<Result<_>>()?,
    })
}

/// Packages whose licence is not allowed.
fn licence_faults(details: &BTreeMap<Id, Value>, rules: &Rules) -> Vec<String> {
    let fault = |(id, about): (&Id, &Value)| {
        let clarified = || rules.clarified.get(&id.name).map(String::as_str);
        let stated = about["license"].as_str().or_else(clarified);
        let fine = stated.is_some_and(|expression| is_allowed(expression, &rules.licences) == Some(true));
        (!fine).then(|| {
            format!("{} {}: licence {} is not allowed", id.name, id.version, stated.unwrap_or("(none stated)"))
        })
    };
    details.iter().filter_map(fault).collect()
}

/// Whether an SPDX expression can be met by the licences allowed; `None` when it cannot be read.
///
/// Reads `AND`, `OR`, `WITH`, parentheses, and the old separator `/`, which means `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut left = &words[..];
    let met = either(&mut left, allowed)?;
    left.is_empty().then_some(met)
}

fn next<'a>(left: &mut &[&'a str], word: &str) -> Option<&'a str> {
    let (first, rest) = left.split_first().filter(|(first, _)| **first == word)?;
    *left = rest;
    Some(first)
}

fn either(left: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = both(left, allowed)?;
    while next(left, "OR").is_some() {
        met |= both(left, allowed)?;
    }
    Some(met)
}

fn both(left: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = licence(left, allowed)?;
    while next(left, "AND").is_some() {
        met &= licence(left, allowed)?;
    }
    Some(met)
}

fn licence(left: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    if next(left, "(").is_some() {
        let met = either(left, allowed)?;
        return next(left, ")").map(|_| met);
    }
    let (name, rest) = left.split_first().filter(|(name, _)| !["OR", "AND", "WITH", ")"].contains(*name))?;
    *left = rest;
    if next(left, "WITH").is_some() {
        let (exception, rest) = left.split_first()?;
        *left = rest;
        return Some(allowed.contains(&format!("{name} WITH {exception}")));
    }
    Some(allowed.contains(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_met_by_what_is_allowed() {
        let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        for (expression, met) in [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("MIT OR GPL-3.0-only", Some(true)),
            ("MIT/GPL-3.0-only", Some(true)),
            ("MIT AND GPL-3.0-only", Some(false)),
            ("(GPL-3.0-only OR MIT) AND Zlib", Some(true)),
            ("GPL-3.0-only OR MIT AND Zlib", Some(true)),
            ("Apache-2.0", Some(false)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("MIT Zlib", None),
            ("(MIT", None),
            ("MIT OR", None),
            ("", None),
        ] {
            assert_eq!(is_allowed(expression, &allowed), met, "{expression}");
        }
    }

    #[test]
    fn a_package_without_an_allowed_licence_is_named() {
        let id = |name: &str| Id { name: name.to_owned(), version: "1.0.0".to_owned() };
        let details = BTreeMap::from([
            (id("free"), serde_json::json!({ "license": "MIT" })),
            (id("none"), serde_json::json!({ "license": null })),
            (id("other"), serde_json::json!({ "license": "AGPL-3.0-only" })),
        ]);
        let mut rules =
            Rules { licences: ["MIT".to_owned()].into(), clarified: BTreeMap::new(), banned: BTreeMap::new() };
        let faults = licence_faults(&details, &rules);
        assert_eq!(faults.len(), 2);
        assert!(faults[0].contains("none 1.0.0") && faults[1].contains("AGPL"), "{faults:?}");
        // A clarification speaks for a package that states nothing, not against one that does.
        rules.clarified = [("none".to_owned(), "MIT".to_owned()), ("other".to_owned(), "MIT".to_owned())].into();
        assert_eq!(licence_faults(&details, &rules).len(), 1);
    }

    #[test]
    fn the_rules_are_read_and_the_workspace_keeps_them() {
        let rules = rules(&std::fs::read_to_string(root().join(RULES)).unwrap()).unwrap();
        assert!(rules.licences.contains("MIT") && !rules.banned.is_empty());
        without_program().unwrap();
    }
}
