//! `docs/reference/configuration.md`, written from the types that read the file: their sources for names, types and
//! meaning, [`Config::recommended`] for the defaults, and the checks of `config/` for the ranges.

mod types;

use std::fmt::Write;

use anyhow::{Context, Result};
use underpin::seal::policy;
use underpin::{Config, DeviceKind};
use underpin_core::Shape;

use types::{Body, Field, Sources, Type};

pub(super) const PAGE: &str = "docs/reference/configuration.md";

/// Rows of the digits that are trained on, and of the smallest set that an attack trains on.
const DIGITS: [usize; 2] = [1078, 359];

/// The page, in Markdown.
pub(super) fn page() -> Result<String> {
    let sources = Sources::read()?;
    let (policy, _) = policy::read(policy::BASELINE.as_bytes())?;
    let defaults = Config::recommended(&Shape::new([1, 8, 8])?, DIGITS, 10, DeviceKind::Flex, &policy);
    let defaults = toml::Table::try_from(&defaults)?;
    let mut page = Page { sources: &sources, text: String::new() };
    page.text += "# The configuration file\n\n<!-- written by `cargo xtask readme` from the types; do not edit -->\n\n\
         `underpin pipeline --config FILE` reads TOML. The file names only what it changes: every other setting is \
         recommended for the data's shape and size and for the policy. An unknown key, a value of another type and a value \
         outside its range are refused before anything is trained, naming the key. `false` in the place of a table takes \
         it away (`privacy = false`, `adversary = false`).\n\nThe column \"digits\" has what is recommended for the embedded \
         UCI digits under the policy `baseline`. A range `[1, inf)` includes 1.\n";
    let config = sources.find("framework", "Config").context("no type Config in crates/framework")?;
    page.table(config, "", Some(&toml::Value::Table(defaults)))?;
    Ok(page.text.trim_end().to_owned() + "\n")
}

struct Page<'a> {
    sources: &'a Sources,
    text: String,
}

impl Page<'_> {
    /// One table of the file, then the tables in it.
    fn table(&mut self, kind: &Type, path: &str, defaults: Option<&toml::Value>) -> Result<()> {
        let Body::Struct(fields) = &kind.body else { return Ok(()) };
        if !path.is_empty() {
            let _ = write!(self.text, "\n## `[{path}]`\n\n{}\n", sentence(&kind.docs));
        }
        self.text += "\n| key | type | digits | meaning |\n|---|---|---|---|\n";
        let mut inner = Vec::new();
        for field in fields {
            let full = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            let default = defaults.and_then(|defaults| defaults.get(&field.name));
            let named = self.sources.named(kind, &field.kind);
            let is_table = named.is_some_and(|named| matches!(&named.body, Body::Struct(_)));
            let shown = match default {
                Some(toml::Value::Table(_)) if is_table => format!("[below](#{})", anchor(&full)),
                Some(value) => format!("`{value}`"),
                None => "none".to_owned(),
            };
            let mut meaning = sentence(&field.docs);
            if let Some(range) = self.sources.range(&full) {
                let _ = write!(meaning, " In {range}.");
            }
            if let Some(kind) = named {
                meaning += &self.variants(kind);
            }
            let _ = writeln!(
                self.text,
                "| `{}` | {} | {shown} | {} |",
                field.name,
                self.type_of(kind, field),
                cell(&meaning)
            );
            if let (Some(named), true) = (named, is_table && field.name != "undefended") {
                inner.push((named, full, default));
            }
        }
        for (named, full, default) in inner {
            self.table(named, &full, default)?;
        }
        Ok(())
    }

    fn type_of(&self, holder: &Type, field: &Field) -> String {
        let text = field.kind.as_str();
        let (optional, text) = match text.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
            Some(inner) => (", optional", inner),
            None => ("", text),
        };
        format!("{}{optional}", self.word(holder, text))
    }

    fn word(&self, holder: &Type, text: &str) -> String {
        if let Some(inner) = text.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
            return format!("list of {}", self.word(holder, inner));
        }
        if let Some((inner, length)) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.split_once(';')) {
            return format!("list of {length} {}", self.word(holder, inner));
        }
        match text {
            // Core's quantities are declared by a macro, so their sources name no struct.
            "f64" | "f32" | "Epsilon" | "Delta" | "Radius" | "Confidence" => "number".to_owned(),
            "bool" => "boolean".to_owned(),
            "String" => "string".to_owned(),
            "usize" | "u64" | "u32" | "u16" | "u8" => "integer ≥ 0".to_owned(),
            text if text.starts_with("NonZero") => "integer ≥ 1".to_owned(),
            _ => match self.sources.named(holder, text).map(|named| (named, &named.body)) {
                Some((_, Body::Enum { .. })) => "choice".to_owned(),
                Some((_, Body::Struct(_))) => "table".to_owned(),
                Some((named, Body::Wrapper(inner))) => self.word(named, inner),
                None => text.to_owned(),
            },
        }
    }

    /// What a choice may be; the meaning of a wrapped number.
    fn variants(&self, kind: &Type) -> String {
        match &kind.body {
            Body::Struct(_) => String::new(),
            Body::Wrapper(_) => format!(" {}", kind.docs.lines().next().unwrap_or_default()),
            Body::Enum { tag, variants } => {
                let one = |variant: &types::Variant| {
                    let name = &variant.name;
                    if let (true, None) = (variant.fields.is_empty(), tag) {
                        return format!("`\"{name}\"`: {}", sentence(&variant.docs));
                    }
                    let fields = variant.fields.iter();
                    let shape: Vec<_> = fields.clone().map(|field| format!("{} = …", field.name)).collect();
                    let parts: Vec<_> = fields
                        .map(|field| {
                            let inner = self.sources.named(kind, &field.kind).map(|inner| self.variants(inner));
                            let (word, docs) = (self.type_of(kind, field), sentence(&field.docs));
                            format!("`{}` ({word}): {docs}{}", field.name, inner.unwrap_or_default())
                        })
                        .collect();
                    let parts = parts.join(" ");
                    let written = match tag {
                        Some(tag) => {
                            let tag = format!("{tag} = \"{name}\"");
                            format!("{{ {} }}", [vec![tag], shape].concat().join(", "))
                        }
                        None => format!("{{ {name} = {{ {} }} }}", shape.join(", ")),
                    };
                    format!("`{written}`: {} {parts}", sentence(&variant.docs))
                };
                format!("<br>One of:<br>{}", variants.iter().map(one).collect::<Vec<_>>().join("<br>"))
            }
        }
    }
}

fn anchor(path: &str) -> String {
    path.replace('.', "")
}

/// The first paragraph of a documentation, ended by a full stop; links to items become their names.
fn sentence(docs: &str) -> String {
    let paragraph = docs.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    // `[`name`](path)` and `[`name`]` become the name.
    let mut parts = paragraph.split("`](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain = format!("{plain}`{}", part.split_once(')').map_or("", |(_, rest)| rest));
    }
    let plain = plain.replace("[`", "`").replace("`]", "`").replace("`crate::", "`");
    if plain.is_empty() || plain.ends_with('.') { plain } else { plain + "." }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each key of the recommended settings, in the table where it belongs, has a row with a type that is spelled out.
    #[test]
    fn every_key_is_on_the_page() {
        fn check(page: &str, path: &str, table: &toml::Table) {
            let section =
                page.split(&format!("## `[{path}]`")).nth(1).unwrap_or(if path.is_empty() { page } else { "" });
            let section = section.split("\n## ").next().unwrap_or_default();
            for (key, value) in table {
                let row = section.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
                let row = row.unwrap_or_else(|| panic!("no row of {path}.{key}"));
                let cells: Vec<&str> = row.split(" | ").collect();
                assert!(cells.len() >= 4 && cells[3].len() > 5, "{path}.{key} has no meaning: {row}");
                let known = ["number", "boolean", "string", "integer", "choice", "table", "list"];
                assert!(known.iter().any(|word| cells[1].starts_with(word)), "{path}.{key}: {}", cells[1]);
                let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if let (toml::Value::Table(inner), "table") = (value, cells[1].trim_end_matches(", optional"))
                    && key != "undefended"
                {
                    check(page, &full, inner);
                }
            }
        }
        let page = page().unwrap();
        let (policy, _) = policy::read(policy::BASELINE.as_bytes()).unwrap();
        let shape = Shape::new([1, 8, 8]).unwrap();
        let defaults = Config::recommended(&shape, DIGITS, 10, DeviceKind::Flex, &policy);
        check(&page, "", &toml::Table::try_from(&defaults).unwrap());
        assert!(page.contains("| `steps` | integer ≥ 0 | `40` |") && page.contains("In [1, inf)."), "{page}");
        assert!(
            page.contains("`{ mode = \"round\", decimals = … }`") && page.contains("`{ mode = \"none\" }`"),
            "{page}"
        );
        assert!(!page.contains("crate::") && !page.contains("ndarray"), "{page}");
        assert!(page.contains("`\"per_layer\"`") && page.contains("`{ banded = { bands = … } }`"), "{page}");
    }
}
