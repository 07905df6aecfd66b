//! Files that options name.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use underpin_privacy::durable::read_bounded;

/// Most bytes of a policy, a configuration or a recipe.
const TEXT: u64 = 1 << 20;

/// The bytes of a policy, a configuration or a recipe that `option` names: a regular file of at most 1 MiB.
///
/// # Errors
///
/// When it is no such file.
pub(crate) fn small(option: &str, path: &Path) -> Result<Vec<u8>> {
    read_bounded(path, TEXT).with_context(|| format!("{option} {}", path.display()))
}

/// The text of such a file.
///
/// # Errors
///
/// As [`small`]; when it is no UTF-8 text.
pub(crate) fn text(option: &str, path: &Path) -> Result<String> {
    let bytes = small(option, path)?;
    String::from_utf8(bytes).with_context(|| format!("{option} {}: it is no UTF-8 text", path.display()))
}

/// Checks that `option` names a regular file: a FIFO, a device or a folder would be waited for without end, or read so.
///
/// # Errors
///
/// When the file cannot be looked at, or is not a regular file.
pub(crate) fn regular(option: &str, path: &Path) -> Result<()> {
    let about = std::fs::metadata(path).with_context(|| format!("{option} {}", path.display()))?;
    ensure!(about.is_file(), "{option} {} is not a regular file", path.display());
    Ok(())
}

/// Checks that neither of two folders, which need not exist, lies in the other or is the other.
///
/// # Errors
///
/// When one does, or the present folder cannot be read.
pub(crate) fn apart(one: (&str, &Path), other: (&str, &Path)) -> Result<()> {
    let (first, second) = (resolved(one.1)?, resolved(other.1)?);
    ensure!(
        !first.starts_with(&second) && !second.starts_with(&first),
        "{} {} and {} {}: give two folders of which neither lies in the other",
        one.0,
        one.1.display(),
        other.0,
        other.1.display()
    );
    Ok(())
}

/// A path without links and `..`, as far as it exists.
fn resolved(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path).with_context(|| path.display().to_string())?;
    let mut known = whole.as_path();
    loop {
        if let Ok(real) = known.canonicalize() {
            let rest = whole.strip_prefix(known).unwrap_or(Path::new(""));
            return Ok(rest.components().fold(real, |mut path, part| {
                match part {
                    Component::ParentDir => {
                        path.pop();
                    }
                    part => path.push(part),
                }
                path
            }));
        }
        match known.parent() {
            Some(parent) => known = parent,
            None => return Ok(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_one_another_are_found() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
        for (out, state) in [("x", "x"), ("x", "x/state"), ("x/run", "x"), ("x", "y/../x/s"), ("real/run", "link")] {
            let fault = apart(("--out", &at(out)), ("--resume", &at(state))).unwrap_err().to_string();
            assert!(fault.contains("--out") && fault.contains("--resume"), "{fault}");
        }
        apart(("--out", &at("x")), ("--resume", &at("xy"))).unwrap();
    }

    #[test]
    fn what_is_no_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let fault = regular("--data", home.path()).unwrap_err().to_string();
        assert!(fault.starts_with("--data") && fault.ends_with("is not a regular file"), "{fault}");
        assert!(regular("--data", &home.path().join("gone")).is_err());
    }
}
