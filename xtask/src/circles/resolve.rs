//! The modules of a crate, and which file defines what a path names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::scan::{Import, Module, scan};

/// Which file imports which, and for each edge a path that causes it.
pub(super) type Edges = BTreeMap<String, BTreeMap<String, String>>;

/// Imports that lead to imports: no path of a real crate is longer, and a circle of re-exports ends here.
const DEPTH: usize = 32;

/// A module's place in the tree of modules, from the root down.
type Place = Vec<String>;

#[derive(Debug)]
struct Known {
    file: String,
    has_code: bool,
    imports: Vec<Import>,
    items: Vec<String>,
    paths: Vec<Vec<String>>,
    words: BTreeSet<String>,
}

/// Every module of a crate.
#[derive(Debug, Default)]
pub(super) struct Crate(BTreeMap<Place, Known>);

/// What a path leads to.
enum Target {
    Module(Place),
    /// An item, defined in this module.
    Item(Place),
}

impl Crate {
    /// Reads the root file and all modules below it.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut modules = Self::default();
        let folder = root.parent().context("a root file lies in a folder")?;
        modules.file(root, folder, folder, Vec::new())?;
        Ok(modules)
    }

    /// Reads the module of a file, whose children lie in `folder`.
    fn file(&mut self, path: &Path, folder: &Path, base: &Path, place: Place) -> Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let module = scan(&text).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(base).unwrap_or(path).display().to_string();
        self.insert(module, (&name, path, folder, base), place)
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers have just made what is passed")]
    fn insert(&mut self, module: Module, from: (&str, &Path, &Path, &Path), place: Place) -> Result<()> {
        let (name, path, folder, base) = from;
        let Module { files, inline, imports, items, paths, words, has_code } = module;
        self.0.insert(place.clone(), Known { file: name.to_owned(), has_code, imports, items, paths, words });
        for (child, named) in files {
            let place = [&place[..], std::slice::from_ref(&child)].concat();
            let beside = path.parent().unwrap_or(base);
            let candidates: Vec<PathBuf> = match named {
                Some(named) => vec![beside.join(named)],
                None => vec![folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs")],
            };
            let Some(found) = candidates.iter().find(|path| path.is_file()) else {
                bail!("{}: the file of mod {child} is not there", path.display());
            };
            self.file(found, &folder.join(&child), base, place)?;
        }
        for (child, inner) in inline {
            let place = [&place[..], std::slice::from_ref(&child)].concat();
            self.insert(inner, (name, path, &folder.join(&child), base), place)?;
        }
        Ok(())
    }

    /// Which file names what another one defines.
    pub(super) fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (place, known) in &self.0 {
            // What only declares and re-exports is looked through.
            if !known.has_code {
                continue;
            }
            // A re-export alone is no use of what it names.
            let used = |import: &&Import| !import.public || known.words.contains(&import.name);
            let imported = known.imports.iter().filter(used).map(|import| &import.path);
            for path in imported.chain(&known.paths) {
                let Some(target) = self.resolve(place, path, 0) else { continue };
                let (Target::Module(to) | Target::Item(to)) = target;
                let to = &self.0[&to];
                if to.has_code && to.file != known.file {
                    let causes = edges.entry(known.file.clone()).or_default();
                    causes.entry(to.file.clone()).or_insert_with(|| path.join("::"));
                }
            }
        }
        edges
    }

    /// Where a path leads as it is written in the module at `place`; nowhere when it leads out of the crate.
    fn resolve(&self, place: &[String], path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(Vec::new(), rest, depth),
            "self" => self.walk(place.to_vec(), rest, depth),
            "super" => {
                let (_, above) = place.split_last()?;
                let supers = rest.iter().take_while(|segment| *segment == "super").count();
                let above = above.get(..above.len().checked_sub(supers)?)?;
                self.walk(above.to_vec(), &rest[supers..], depth)
            }
            _ => {
                // A name alone is an item of the module itself, not an import of another.
                let known = self.0.get(place)?;
                let child = [place, std::slice::from_ref(first)].concat();
                let imported = known.imports.iter().any(|import| import.name == *first);
                (self.0.contains_key(&child) || imported).then(|| self.walk(place.to_vec(), path, depth)).flatten()
            }
        }
    }

    /// Follows the segments from a module on.
    fn walk(&self, mut place: Place, mut path: &[String], depth: usize) -> Option<Target> {
        while let Some((first, rest)) = path.split_first() {
            let child = [&place[..], std::slice::from_ref(first)].concat();
            if self.0.contains_key(&child) {
                (place, path) = (child, rest);
                continue;
            }
            let known = self.0.get(&place)?;
            if known.items.contains(first) {
                return Some(Target::Item(place));
            }
            if depth >= DEPTH {
                return None;
            }
            let named = known.imports.iter().find(|import| import.name == *first && import.path.first() != Some(first));
            if let Some(import) = named {
                return match self.resolve(&place, &import.path, depth + 1)? {
                    Target::Module(module) => self.walk(module, rest, depth + 1),
                    item @ Target::Item(_) => Some(item),
                };
            }
            let globs = known.imports.iter().filter(|import| import.name == "*");
            return globs.into_iter().find_map(|import| {
                let Target::Module(module) = self.resolve(&place, &import.path, depth + 1)? else { return None };
                (module != place).then(|| self.walk(module, path, depth + 1)).flatten()
            });
        }
        Some(Target::Module(place))
    }
}
