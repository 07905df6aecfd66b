//! Where rows come from and how they are written: CSV, IDX, Parquet, Arrow or JSON lines.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use underpin_core::Shape;

use super::dialect::{DecimalMark, Delimiter};
use super::encoding::Encoding;

/// File format of rows: CSV, IDX, Parquet, Arrow or JSON lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Text by RFC 4180; comma, semicolon, tab, bar or blanks between cells; with or without a header.
    Csv,
    /// The format of MNIST: a file of images and one of labels.
    Idx,
    /// Apache Parquet.
    Parquet,
    /// An Arrow IPC file, or Feather version 2.
    Arrow,
    /// One flat JSON object per line.
    JsonLines,
}

/// Names a file of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file; of IDX the images.
    pub path: PathBuf,
    /// Its format; by default inferred from its name.
    #[serde(default)]
    pub format: Option<Format>,
    /// Label column, by name or by position from 1; by default the only one named `label`, `target`, `class` or the like,
    /// or the last if no other can be it. IDX has its labels in a file of their own: `label` or nothing.
    #[serde(default)]
    pub label: Option<String>,
    /// Shape of one example, if the columns are the pixels of an image; IDX knows its own.
    #[serde(default)]
    pub shape: Option<Shape>,
    /// IDX file of labels; by default the images' name with `images-idx3` replaced by `labels-idx1`.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// Encoding of a text table; by default found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Delimiter of a text table; by default found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// Decimal mark of a text table; by default found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<DecimalMark>,
    /// Names of columns that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Names of columns that are never left out, whatever their values look like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
}

impl Source {
    /// A file, and all else by default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: None,
            label: None,
            shape: None,
            labels: None,
            encoding: None,
            delimiter: None,
            decimal: None,
            drop: Vec::new(),
            keep: Vec::new(),
        }
    }
}

/// A file's name and content, as it came.
#[derive(Clone, Copy, Debug)]
pub struct NamedBytes<'a> {
    /// Name, for messages and to infer the format.
    pub name: &'a str,
    /// Content, perhaps compressed by gzip.
    pub bytes: &'a [u8],
}

/// The format of a file by the extension of its name, if it is known.
pub(super) fn format_of(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".csv", ".tsv", ".txt", ".data", ".test"]) {
        Some(Format::Csv)
    } else if ends(&[".parquet", ".pq"]) {
        Some(Format::Parquet)
    } else if ends(&[".arrow", ".feather"]) {
        Some(Format::Arrow)
    } else if ends(&[".jsonl", ".ndjson"]) {
        Some(Format::JsonLines)
    } else if name.contains("idx3-ubyte") || name.contains("idx3.ubyte") {
        Some(Format::Idx)
    } else {
        None
    }
}
