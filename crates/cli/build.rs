//! Fixes at build time what the program says of its own origin: the revision of the code and the version of burn.
//!
//! `UNDERPIN_REVISION`: the git commit, with ` with changes` when the tree differs from it; from `.cargo_vcs_info.json` when
//! built from a package of cargo; else `unknown`. `UNDERPIN_BURN`: burn's version in the lock file; else `unknown`.
//!
//! Runs again when the commit checked out, or a file of the tree, changes; a new untracked file beside the top-level ones is
//! noticed only then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into()));
    let revision = packaged(&folder).or_else(|| checked_out(&folder)).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=UNDERPIN_REVISION={revision}");
    let burn =
        [folder.join("Cargo.lock"), folder.join("../../Cargo.lock")].iter().find_map(|lock| locked(lock, "burn"));
    println!("cargo::rustc-env=UNDERPIN_BURN={}", burn.unwrap_or_else(|| "unknown".to_owned()));
    watch(&folder.join("build.rs"));
}

fn watch(path: &Path) {
    // A path that is absent would make the script run every time.
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// The revision that cargo wrote into the package that is being built.
fn packaged(folder: &Path) -> Option<String> {
    let path = folder.join(".cargo_vcs_info.json");
    watch(&path);
    let text = std::fs::read_to_string(path).ok()?;
    let value = |key: &str| {
        let rest = text.split_once(&format!("\"{key}\""))?.1.trim_start().strip_prefix(':')?.trim_start();
        Some(rest)
    };
    let commit = value("sha1")?.strip_prefix('"')?.split('"').next()?.to_owned();
    let dirty = value("dirty").is_some_and(|rest| rest.starts_with("true"));
    Some(marked(commit, dirty))
}

fn marked(commit: String, dirty: bool) -> String {
    if dirty { format!("{commit} with changes") } else { commit }
}

/// The revision of the repository that this package lies in, if it is the project's own.
fn checked_out(folder: &Path) -> Option<String> {
    let git = |at: &Path, arguments: &[&str]| {
        // No lock: looking at the tree must not touch the index.
        let output = Command::new("git").arg("--no-optional-locks").args(arguments).current_dir(at).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    };
    // Unpacked into somebody else's repository, its commit is not the code's.
    (git(folder, &["rev-parse", "--show-prefix"])? == "crates/cli/").then_some(())?;
    git(folder, &["ls-files", "--error-unmatch", "Cargo.toml"])?;
    let root = PathBuf::from(git(folder, &["rev-parse", "--show-toplevel"])?);
    let reference = git(&root, &["symbolic-ref", "-q", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(reference.as_deref()) {
        if let Some(path) = git(&root, &["rev-parse", "--git-path", name]) {
            watch(&root.join(path));
        }
    }
    let files = git(&root, &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    let top: BTreeSet<&str> = files.lines().map(|file| file.split('/').next().unwrap_or(file)).collect();
    for name in top {
        watch(&root.join(name));
    }
    let head = git(&root, &["rev-parse", "HEAD"])?;
    Some(marked(head, !git(&root, &["status", "--porcelain"])?.is_empty()))
}

/// The version of a package in a lock file.
fn locked(lock: &Path, package: &str) -> Option<String> {
    watch(lock);
    let text = std::fs::read_to_string(lock).ok()?;
    let rest = text.split_once(&format!("name = \"{package}\"\nversion = \""))?.1;
    Some(rest.split('"').next()?.to_owned())
}
