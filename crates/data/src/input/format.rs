//! Where rows come from and how they are written: CSV, IDX or Parquet.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use underpin_core::Shape;

/// File format of rows: CSV, IDX or Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One row per line; comma, semicolon, tab or space between cells; with or without a header.
    Csv,
    /// The format of MNIST: a file of images and one of labels.
    Idx,
    /// Apache Parquet.
    Parquet,
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
    /// Label column, by name or by position from 1; by default one named `label`, `target`, `class` or the like, else
    /// the last. IDX has its labels in a file of their own: `label` or nothing.
    #[serde(default)]
    pub label: Option<String>,
    /// Shape of one example, if the columns are the pixels of an image; IDX knows its own.
    #[serde(default)]
    pub shape: Option<Shape>,
    /// IDX file of labels; by default the images' name with `images-idx3` replaced by `labels-idx1`.
    #[serde(default)]
    pub labels: Option<PathBuf>,
}

impl Source {
    /// A file, and all else by default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: None, label: None, shape: None, labels: None }
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
    } else if name.contains("idx3-ubyte") || name.contains("idx3.ubyte") {
        Some(Format::Idx)
    } else {
        None
    }
}
