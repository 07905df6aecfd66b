//! The public items of each published crate, kept in docs/api, so that a change of them is seen.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::packages::{self, PUBLISHED};
use crate::workspace::{captured, cargo, root};

/// Options of `api`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Write nothing; fail where the lists differ from the code, as `ci` does.
    #[arg(long)]
    check: bool,
}

/// Where the lists are kept.
const FOLDER: &str = "docs/api";
/// Lines of a difference that are shown for each crate.
const SHOWN: usize = 20;

/// Writes the lists, which accepts a change of the public items, or compares them.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.check {
        check()?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = root().join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (name, items) in lists()? {
        std::fs::write(file(name), items).with_context(|| file(name).display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compares the public items with the lists that are kept.
///
/// # Errors
///
/// When they differ, with the lines that are new (`+`) or gone (`-`) and how to accept them.
pub(crate) fn check() -> Result<()> {
    eprintln!("── public items");
    let mut faults = Vec::new();
    for (name, items) in lists()? {
        let kept = std::fs::read_to_string(file(name)).unwrap_or_default();
        let changed = difference(&kept, &items);
        if !changed.is_empty() {
            let more = changed.len().saturating_sub(SHOWN);
            let more = if more == 0 { String::new() } else { format!("\n    and {more} more") };
            faults.push(format!("{name}:\n    {}{more}", changed[..changed.len().min(SHOWN)].join("\n    ")));
        }
    }
    ensure!(
        faults.is_empty(),
        "public items differ from {FOLDER}; if that is meant, run `cargo xtask api`, commit the lists and state what users \
         see in CHANGELOG.md\n  {}",
        faults.join("\n  ")
    );
    Ok(())
}

fn file(name: &str) -> PathBuf {
    root().join(FOLDER).join(format!("{name}.txt"))
}

/// Each crate's public items, one a line, with the features that the workspace's own build has.
fn lists() -> Result<Vec<(&'static str, String)>> {
    let target = packages::target_folder()?;
    let folder = target.join("api");
    let status = cargo(&["build", "--quiet", "--locked", "--manifest-path", "xtask/api/Cargo.toml", "--target-dir"])
        .arg(&folder)
        .status()
        .context("cargo build")?;
    ensure!(status.success(), "xtask/api does not compile ({status})");
    let reader = folder.join("debug").join(format!("underpin-api{}", std::env::consts::EXE_SUFFIX));
    // The whole workspace, as `cargo doc` in `ci`: naming packages alone would compile dependencies with other features.
    let status = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--lib"])
        .env("RUSTDOC", &reader)
        .env("UNDERPIN_RUSTDOC", std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into()))
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json --cap-lints allow")
        .status()
        .context("cargo doc")?;
    ensure!(status.success(), "rustdoc could not write its JSON ({status})");
    let list = |name: &&'static str| {
        let path = target.join("doc").join(format!("{}.json", name.replace('-', "_")));
        Ok((*name, captured(Command::new(&reader).arg(path))?))
    };
    PUBLISHED.iter().map(list).collect()
}

/// The lines of one text that the other has not, marked, in the order of the texts.
fn difference(old: &str, new: &str) -> Vec<String> {
    let missing = |from: &str, of: &str, mark: char| -> Vec<String> {
        let known: std::collections::BTreeSet<&str> = of.lines().collect();
        from.lines().filter(|line| !known.contains(line)).map(|line| format!("{mark} {line}")).collect()
    };
    [missing(old, new, '-'), missing(new, old, '+')].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_is_new_and_what_is_gone() {
        assert!(difference("a\nb\n", "a\nb\n").is_empty());
        assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
    }

    #[test]
    fn each_published_crate_has_its_list() {
        for name in PUBLISHED {
            let text = std::fs::read_to_string(file(name)).unwrap();
            assert!(text.starts_with(&format!("pub mod {}\n", name.replace('-', "_"))), "{name}");
        }
    }
}
