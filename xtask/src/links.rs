//! Links in Markdown pages that lead nowhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Names each relative link of the pages below `root` whose file does not exist, and each relative link of a crate's
/// README: on docs.rs and crates.io nothing lies beside it.
pub(crate) fn dead(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for page in pages(root)? {
        let text = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        let folder = page.parent().unwrap_or(root);
        let name = page.strip_prefix(root).unwrap_or(&page).display().to_string();
        let published = name.starts_with("crates/");
        for link in links(&text) {
            if published {
                faults.push(format!("{name}: the link {link} is dead on docs.rs: give an address"));
            } else if !folder.join(link.split('#').next().unwrap_or_default()).exists() {
                faults.push(format!("{name}: the link {link} leads nowhere"));
            }
        }
    }
    Ok(faults)
}

/// The relative links to files: those with a folder or an ending, outside of code blocks.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut within = false;
    for line in text.lines() {
        if line.starts_with("```") {
            within = !within;
        }
        if within {
            continue;
        }
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_file =
                target.contains('/') || [".md", ".png", ".toml", ".json"].iter().any(|end| target.contains(end));
            if is_file && !target.contains("://") && !target.starts_with('#') && !target.contains("::") {
                found.push(target.to_owned());
            }
        }
    }
    found
}

fn pages(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "runs"].contains(&&*name) && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_named_and_code_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let page = "[a](there.md) [b](gone.md#x) [c](https://example.org/x.md) [d](#here)\n```\n[e](code.md)\n```\n";
        std::fs::write(home.path().join("page.md"), page).unwrap();
        std::fs::write(home.path().join("there.md"), "").unwrap();
        assert_eq!(dead(home.path()).unwrap(), ["page.md: the link gone.md#x leads nowhere"]);
        let crates = home.path().join("crates/one");
        std::fs::create_dir_all(&crates).unwrap();
        std::fs::write(crates.join("README.md"), "[up](../../there.md)").unwrap();
        assert!(dead(home.path()).unwrap()[0].contains("dead on docs.rs"));
    }
}
