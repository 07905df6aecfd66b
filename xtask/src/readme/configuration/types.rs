//! The types of the configuration as their sources declare them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::workspace::root;

/// A field, as the file has it.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// Its type without spaces.
    pub(super) kind: String,
    pub(super) docs: String,
}

/// A variant, by its name in the file.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) enum Body {
    Struct(Vec<Field>),
    /// Variants; by which key of a table one is named, if it is written inside of its table.
    Enum {
        tag: Option<String>,
        variants: Vec<Variant>,
    },
    /// One value without a name, of this type.
    Wrapper(String),
}

/// A type that serde reads.
#[derive(Debug)]
pub(super) struct Type {
    krate: String,
    file: PathBuf,
    pub(super) docs: String,
    pub(super) body: Body,
}

/// Every type with a public declaration in `crates/`, and the ranges that the configuration's checks name.
#[derive(Debug, Default)]
pub(super) struct Sources {
    types: Vec<(String, Type)>,
    /// Crates that a file imports names from.
    imports: BTreeMap<PathBuf, BTreeMap<String, String>>,
    ranges: BTreeMap<String, String>,
}

impl Sources {
    pub(super) fn read() -> Result<Self> {
        let mut found = Self::default();
        for krate in ["framework", "train", "serve", "data", "privacy", "core"] {
            found.folder(krate, &root().join("crates").join(krate).join("src"))?;
        }
        Ok(found)
    }

    fn folder(&mut self, krate: &str, folder: &Path) -> Result<()> {
        let mut paths = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.folder(krate, &path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path)?;
                let tokens: TokenStream = text
                    .parse()
                    .map_err(|error| anyhow::anyhow!("{error}"))
                    .with_context(|| path.display().to_string())?;
                let tokens: Vec<TokenTree> = tokens.into_iter().collect();
                self.imports.insert(path.clone(), imports(&text));
                self.declarations(krate, &path, &tokens);
                if path.to_string_lossy().contains("config") {
                    self.checks(&tokens);
                }
            }
        }
        Ok(())
    }

    /// The type of that name in a crate.
    pub(super) fn find(&self, krate: &str, name: &str) -> Option<&Type> {
        let mut known = self.types.iter().filter(|(known, kind)| known == name && kind.krate == krate);
        known.next().map(|(_, kind)| kind)
    }

    /// The type that a field of `holder` has, inside of options, lists and boxes.
    pub(super) fn named(&self, holder: &Type, text: &str) -> Option<&Type> {
        let mut name = text;
        for wrapper in ["Option<", "Vec<", "Box<"] {
            name = name.strip_prefix(wrapper).and_then(|rest| rest.strip_suffix('>')).unwrap_or(name);
        }
        if let Some((path, last)) = name.rsplit_once("::") {
            return self.find(path.trim_start_matches("underpin_"), last);
        }
        let here = self.types.iter().find(|(known, kind)| known == name && kind.file == holder.file);
        let imported = || self.find(self.imports.get(&holder.file)?.get(name)?, name);
        here.map(|(_, kind)| kind).or_else(imported).or_else(|| self.find(&holder.krate, name))
    }

    /// What a check allows of the setting with this name.
    pub(super) fn range(&self, name: &str) -> Option<&str> {
        self.ranges.get(name).map(String::as_str)
    }

    fn declarations(&mut self, krate: &str, file: &Path, tokens: &[TokenTree]) {
        let mut attributes = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group)
                    if group.delimiter() == Delimiter::Bracket && is(tokens.get(at.wrapping_sub(1)), "#") =>
                {
                    attributes.push(group.stream());
                }
                TokenTree::Ident(word) if *word == "struct" || *word == "enum" => {
                    let name = tokens.get(at + 1).map(ToString::to_string).unwrap_or_default();
                    // OK to pass over generics: no setting has one.
                    if let Some(TokenTree::Group(body)) = tokens.get(at + 2) {
                        let case = serde(&attributes, "rename_all");
                        let body = match (*word == "enum", body.delimiter()) {
                            (true, _) => Body::Enum {
                                tag: serde(&attributes, "tag"),
                                variants: variants(body.stream(), case.as_deref()),
                            },
                            (false, Delimiter::Brace) => Body::Struct(fields(body.stream())),
                            _ => Body::Wrapper(wrapped(body.stream())),
                        };
                        let (krate, file) = (krate.to_owned(), file.to_owned());
                        self.types.push((name, Type { krate, file, docs: docs(&attributes), body }));
                    }
                    attributes.clear();
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => attributes.clear(),
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => attributes.clear(),
                _ => {}
            }
        }
    }

    /// `at_least("name", value, 1)` and `between("name", value, "range", …)`, wherever they stand.
    fn checks(&mut self, tokens: &[TokenTree]) {
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Group(group) = token else { continue };
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let arguments: Vec<String> = split(&inner).iter().map(|part| plain(part)).collect();
            let quoted = |text: &String| text.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
            if let (Some(name), Some(last)) = (arguments.first().and_then(quoted), arguments.get(2)) {
                if is(tokens.get(at.wrapping_sub(1)), "at_least") && last.parse::<u64>().is_ok() {
                    self.ranges.insert(name, format!("[{last}, inf)"));
                } else if is(tokens.get(at.wrapping_sub(1)), "between")
                    && let Some(range) = quoted(last)
                {
                    self.ranges.insert(name, range);
                }
            }
            self.checks(&inner);
        }
    }
}

fn is(token: Option<&TokenTree>, text: &str) -> bool {
    token.is_some_and(|token| token.to_string() == text)
}

/// Names that `use underpin_x::…;` brings in, each with its crate `x`.
fn imports(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for statement in text.split("use underpin_").skip(1).filter_map(|rest| rest.split_once(';')).map(|(head, _)| head) {
        let Some((krate, names)) = statement.split_once("::") else { continue };
        for name in names.split(|letter: char| !letter.is_alphanumeric() && letter != '_') {
            found.insert(name.to_owned(), krate.to_owned());
        }
    }
    found
}

fn split(tokens: &[TokenTree]) -> Vec<Vec<TokenTree>> {
    let (mut parts, mut depth) = (vec![Vec::new()], 0_usize);
    for token in tokens {
        match token.to_string().as_str() {
            "<" => depth += 1,
            ">" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                parts.push(Vec::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("invariant: never empty").push(token.clone());
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn plain(tokens: &[TokenTree]) -> String {
    let text = tokens.iter().cloned().collect::<TokenStream>().to_string();
    if text.starts_with('"') { text } else { text.replace(' ', "") }
}

/// Attributes of one field or variant, and what follows them and its visibility.
fn stripped(tokens: &[TokenTree]) -> (Vec<TokenStream>, &[TokenTree]) {
    let mut attributes = Vec::new();
    let mut at = 0;
    while is(tokens.get(at), "#") {
        if let Some(TokenTree::Group(group)) = tokens.get(at + 1) {
            attributes.push(group.stream());
        }
        at += 2;
    }
    if is(tokens.get(at), "pub") {
        at += 1 + usize::from(matches!(tokens.get(at + 1), Some(TokenTree::Group(_))));
    }
    (attributes, &tokens[at.min(tokens.len())..])
}

fn fields(stream: TokenStream) -> Vec<Field> {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let field = |part: &Vec<TokenTree>| {
        let (attributes, rest) = stripped(part);
        let name = rest.first()?.to_string();
        Some(Field { name, kind: plain(rest.get(2..)?), docs: docs(&attributes) })
    };
    split(&tokens).iter().filter_map(field).collect()
}

fn variants(stream: TokenStream, case: Option<&str>) -> Vec<Variant> {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let variant = |part: &Vec<TokenTree>| {
        let (attributes, rest) = stripped(part);
        // Only a build with that feature has it.
        if attributes.iter().any(|attribute| attribute.to_string().replace(' ', "").starts_with("cfg(feature")) {
            return None;
        }
        let declared = rest.first()?.to_string();
        let name = serde(&attributes, "rename").unwrap_or_else(|| cased(&declared, case));
        let inner = match rest.get(1) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => fields(group.stream()),
            _ => Vec::new(),
        };
        Some(Variant { name, docs: docs(&attributes), fields: inner })
    };
    split(&tokens).iter().filter_map(variant).collect()
}

fn wrapped(stream: TokenStream) -> String {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    plain(stripped(&tokens).1)
}

fn cased(name: &str, case: Option<&str>) -> String {
    match case {
        Some("snake_case") => {
            let mut snake = String::new();
            for (at, letter) in name.char_indices() {
                if letter.is_uppercase() && at > 0 {
                    snake.push('_');
                }
                snake.extend(letter.to_lowercase());
            }
            snake
        }
        Some("lowercase") => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

/// `#[serde(key = "value")]`.
fn serde(attributes: &[TokenStream], key: &str) -> Option<String> {
    attributes.iter().map(|attribute| attribute.to_string().replace(' ', "")).find_map(|text| {
        let rest = text.strip_prefix("serde(")?;
        let (_, value) = rest.split_once(&format!("{key}=\""))?;
        Some(value.split('"').next()?.to_owned())
    })
}

/// The text of `///` comments.
fn docs(attributes: &[TokenStream]) -> String {
    let line = |attribute: &TokenStream| {
        let text = attribute.to_string();
        let literal = text.strip_prefix("doc")?.trim_start().strip_prefix('=')?.trim().to_owned();
        let line: String = serde_json::from_str(&literal).ok().or_else(|| {
            let raw = literal.trim_start_matches('r').trim_matches('#').trim_matches('"');
            Some(raw.replace("\\'", "'").replace("\\\"", "\""))
        })?;
        Some(line.trim().to_owned())
    };
    attributes.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}
