//! What one Rust source declares, imports and names, from its tokens.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A name brought into a module by `use`: its path, and what it is called there; `*` for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) name: String,
    /// Whether it is a re-export (`pub use`, `pub(crate) use`).
    pub(super) public: bool,
}

/// One module: of a file, or inline.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Modules in files of their own: name, and file if an attribute names one.
    pub(super) files: Vec<(String, Option<String>)>,
    /// Modules in braces.
    pub(super) inline: Vec<(String, Module)>,
    pub(super) imports: Vec<Import>,
    /// Items defined here.
    pub(super) items: Vec<String>,
    /// Paths of two segments or more, in types, expressions and macros.
    pub(super) paths: Vec<Vec<String>>,
    /// Every identifier in code.
    pub(super) words: BTreeSet<String>,
    /// Whether there is anything but modules and imports.
    pub(super) has_code: bool,
}

const ITEMS: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];

/// Reads a source.
pub(super) fn scan(text: &str) -> Result<Module> {
    // OK to map the error: it has no source.
    let tokens: TokenStream = text.parse().map_err(|error| anyhow::anyhow!("{error}")).context("no Rust source")?;
    let mut module = Module::default();
    Scanner { module: &mut module }.items(tokens.into_iter().collect());
    Ok(module)
}

struct Scanner<'a> {
    module: &'a mut Module,
}

fn is_punct(token: Option<&TokenTree>, punct: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == punct)
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string().trim_start_matches("r#").to_owned()),
        _ => None,
    }
}

impl Scanner<'_> {
    /// Items of a module: attributes, then an item up to its `;` or braces.
    #[allow(clippy::needless_pass_by_value, reason = "callers have just made what is passed")]
    fn items(&mut self, tokens: Vec<TokenTree>) {
        let mut at = 0;
        while at < tokens.len() {
            let (mut test, mut path) = (false, None);
            while is_punct(tokens.get(at), '#') {
                at += 1 + usize::from(is_punct(tokens.get(at + 1), '!'));
                if let Some(TokenTree::Group(attribute)) = tokens.get(at) {
                    test |= is_test(attribute);
                    path = path.or_else(|| path_of(attribute));
                }
                at += 1;
            }
            let end = end_of_item(&tokens, at);
            if !test {
                self.item(&tokens[at.min(end)..end], path);
            }
            at = end.max(at + 1);
        }
    }

    fn item(&mut self, tokens: &[TokenTree], path: Option<String>) {
        let keyword =
            |token: &TokenTree| ident(Some(token)).is_some_and(|word| !["pub", "unsafe", "async"].contains(&&*word));
        let Some(start) = tokens.iter().position(keyword) else { return };
        let word = ident(tokens.get(start)).unwrap_or_default();
        match word.as_str() {
            "mod" => {
                let name = ident(tokens.get(start + 1)).unwrap_or_default();
                if let Some(TokenTree::Group(body)) = tokens.get(start + 2) {
                    let mut inner = Module::default();
                    Scanner { module: &mut inner }.items(body.stream().into_iter().collect());
                    self.module.has_code |= inner.has_code;
                    self.module.inline.push((name, inner));
                } else {
                    self.module.files.push((name, path));
                }
            }
            "use" => self.imports(&tokens[start + 1..], ident(tokens.first()).is_some_and(|word| word == "pub")),
            _ => {
                self.module.has_code = true;
                // `const fn`, `unsafe trait`, `macro_rules! name`: the name follows the last of these words.
                let words = tokens.iter().enumerate().skip(start).take(6);
                let last =
                    words.rev().find(|(_, token)| ident(Some(token)).is_some_and(|word| ITEMS.contains(&&*word)));
                if let (Some((at, _)), false) = (last, word == "impl") {
                    let name = at + 1 + usize::from(is_punct(tokens.get(at + 1), '!'));
                    self.module.items.extend(ident(tokens.get(name)));
                }
                self.code(tokens.to_vec());
            }
        }
    }

    /// Paths in anything but items; `use` inside of functions too.
    #[allow(clippy::needless_pass_by_value, reason = "callers have just made what is passed")]
    fn code(&mut self, tokens: Vec<TokenTree>) {
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.code(group.stream().into_iter().collect()),
                TokenTree::Ident(word) if *word == "use" => {
                    let end = (at..tokens.len()).find(|end| is_punct(tokens.get(*end), ';')).unwrap_or(tokens.len());
                    self.imports(&tokens[at + 1..end], false);
                    at = end;
                }
                TokenTree::Ident(_) => {
                    let (path, end) = path_at(&tokens, at);
                    self.module.words.insert(path[0].clone());
                    let outside = at >= 2 && is_punct(tokens.get(at - 1), ':') && is_punct(tokens.get(at - 2), ':');
                    let field = at >= 1 && is_punct(tokens.get(at - 1), '.');
                    if path.len() > 1 && !outside && !field {
                        self.module.paths.push(path);
                    }
                    at = end - 1;
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn imports(&mut self, tokens: &[TokenTree], public: bool) {
        // `use ::name` is another crate.
        if !is_punct(tokens.first(), ':') {
            let known = self.module.imports.len();
            tree(tokens, &[], &mut self.module.imports);
            self.module.imports[known..].iter_mut().for_each(|import| import.public = public);
        }
    }
}

/// One import tree after the other, each continuing `before`.
fn tree(tokens: &[TokenTree], before: &[String], found: &mut Vec<Import>) {
    for tokens in tokens.split(|token| is_punct(Some(token), ',')) {
        let mut path = before.to_vec();
        let mut name = None;
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) if *word == "as" => {
                    name = ident(tokens.get(at + 1));
                    break;
                }
                TokenTree::Ident(_) => path.extend(ident(tokens.get(at))),
                TokenTree::Punct(punct) if punct.as_char() == '*' => name = Some("*".to_owned()),
                TokenTree::Group(group) => {
                    tree(&group.stream().into_iter().collect::<Vec<_>>(), &path, found);
                    path.clear();
                }
                _ => {}
            }
            at += 1;
        }
        // `use a::{self, b}`: `self` is `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last().cloned() {
            found.push(Import { path, name: name.unwrap_or(last), public: false });
        }
    }
}

/// The path of identifiers that begins here, and where it ends.
fn path_at(tokens: &[TokenTree], mut at: usize) -> (Vec<String>, usize) {
    let mut path: Vec<String> = ident(tokens.get(at)).into_iter().collect();
    at += 1;
    while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
        let Some(next) = ident(tokens.get(at + 2)) else { break };
        path.push(next);
        at += 3;
    }
    (path, at)
}

/// One past the `;` or the braces that end the item which begins here.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    // Braces end an item, but not those of an initialiser or an import.
    let runs_to_semicolon = tokens[at..]
        .iter()
        .take(6)
        .any(|token| ident(Some(token)).is_some_and(|word| ["use", "static", "type"].contains(&&*word)))
        || is_constant(&tokens[at..]);
    for (offset, token) in tokens[at..].iter().enumerate() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => return at + offset + 1,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !runs_to_semicolon => {
                return at + offset + 1;
            }
            _ => {}
        }
    }
    tokens.len()
}

/// `const NAME: …`, not `const fn` nor a `const` within another item's head.
fn is_constant(tokens: &[TokenTree]) -> bool {
    let mut words = tokens.iter().filter_map(|token| ident(Some(token)));
    let first = words.find(|word| word != "pub");
    first.is_some_and(|word| word == "const")
        && words.next().is_some_and(|word| !["fn", "unsafe", "async", "extern"].contains(&&*word))
}

/// `#[cfg(test)]` and every `cfg` that asks for tests; `#[test]`.
fn is_test(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text == "test" || (text.starts_with("cfg(") && text.contains("test") && !text.contains("not(test)"))
}

/// The file of `#[path = "file.rs"]`.
fn path_of(attribute: &Group) -> Option<String> {
    let text = attribute.stream().to_string();
    Some(text.strip_prefix("path")?.trim().strip_prefix('=')?.trim().trim_matches('"').to_owned())
}
