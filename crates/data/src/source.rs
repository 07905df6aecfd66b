//! Where rows come from, and how much of it is believed.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use underpin_core::Shape;

use crate::idx::{self, Idx};
use crate::raw::RawTable;
use crate::{Error, columnar, merkle, table};

/// How rows are written.
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
    /// How it is written; by default its name tells.
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

/// How much is read at most. What exceeds `bytes`, `rows` or `columns` is an error; a cell over `cell` costs its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one file, after decompression; of Parquet, of all its values. (A single page of a Parquet file may take
    /// up to 2 GiB before its values are counted.)
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Columns, the label included.
    pub columns: usize,
    /// Bytes of one cell.
    pub cell: usize,
}

impl Default for Limits {
    /// 1 GiB, 10 million rows, 65,536 columns, 1,024 bytes per cell.
    fn default() -> Self {
        Self { bytes: 1 << 30, rows: 10_000_000, columns: 1 << 16, cell: 1 << 10 }
    }
}

/// A file's name and content, as it came.
#[derive(Clone, Copy, Debug)]
pub struct NamedBytes<'a> {
    /// Name, for messages and to tell the format.
    pub name: &'a str,
    /// Content, perhaps compressed by gzip.
    pub bytes: &'a [u8],
}

/// Reads raw rows; nothing in them is trusted yet.
///
/// # Errors
///
/// [`Error::Io`], [`Error::UnknownFormat`], [`Error::Gzip`], [`Error::TooLarge`], [`Error::Empty`],
/// [`Error::HeaderOnly`], [`Error::NotIdx`], [`Error::Idx`], [`Error::NoLabels`], [`Error::Parquet`],
/// [`Error::MissingColumn`], [`Error::NoLabelColumn`] or [`Error::ShapeMismatch`] when the file as a whole is of no use;
/// a bad row is kept for [`admit`](crate::admit) to set aside.
pub fn open(source: &Source, limits: &Limits) -> Result<RawTable, Error> {
    let bytes = read(&source.path, limits)?;
    let name = file_name(&source.path);
    let labels_path = source.labels.clone().or_else(|| labels_beside(&source.path));
    let needs_labels = source.format.or_else(|| format_of(&name)) == Some(Format::Idx);
    let labels = match labels_path.as_ref().filter(|_| needs_labels) {
        Some(path) => match read(path, limits) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            bytes => Some((file_name(path), bytes?)),
        },
        None => None,
    };
    let labels = labels.as_ref().map(|(name, bytes)| NamedBytes { name, bytes });
    from_bytes(NamedBytes { name: &name, bytes: &bytes }, labels, source, limits).map_err(|error| match error {
        Error::NoLabels { file, .. } => Error::NoLabels { file, looked_for: labels_path },
        other => other,
    })
}

/// Reads raw rows from memory, as [`open`] does; the paths in `source` are not looked at.
///
/// # Errors
///
/// As [`open`].
pub fn from_bytes(
    file: NamedBytes<'_>,
    labels: Option<NamedBytes<'_>>,
    source: &Source,
    limits: &Limits,
) -> Result<RawTable, Error> {
    let unknown = || Error::UnknownFormat { file: file.name.to_owned() };
    let format = source.format.or_else(|| format_of(file.name)).ok_or_else(unknown)?;
    let plain = inflate(file, limits)?;
    if plain.is_empty() {
        return Err(Error::Empty { file: file.name.to_owned() });
    }
    let asked = source.label.as_deref();
    let raw_table = match format {
        Format::Csv => table::read(file.name, &plain, asked, limits)?,
        Format::Parquet => columnar::read(file.name, plain.into_owned(), asked, limits)?,
        Format::Idx => {
            if let Some(column) = asked.filter(|asked| *asked != "label") {
                let (file, column, found) = (file.name.to_owned(), column.to_owned(), vec!["label".to_owned()]);
                return Err(Error::MissingColumn { file, column, found });
            }
            let images = Idx::parse(file.name, plain.into_owned(), limits)?;
            let missing = || Error::NoLabels { file: file.name.to_owned(), looked_for: None };
            let labels = labels.ok_or_else(missing)?;
            let labels = Idx::parse(labels.name, inflate(labels, limits)?.into_owned(), limits)?;
            idx::read(images, labels, limits)?
        }
    };
    if raw_table.is_empty() {
        return Err(Error::Empty { file: file.name.to_owned() });
    }
    let files = [Some(file), labels.filter(|_| format == Format::Idx)];
    let named = |file: NamedBytes<'_>| (file.name.to_owned(), merkle::sha256(file.bytes));
    let raw_table = raw_table.with_files(files.into_iter().flatten().map(named).collect());
    match &source.shape {
        Some(shape) => raw_table.with_shape(shape.clone()),
        None => Ok(raw_table),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn format_of(name: &str) -> Option<Format> {
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

fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = file_name(images);
    let labels = name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1");
    (labels != name).then(|| images.with_file_name(labels))
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    capped(file, &file_name(path), limits).map_err(|fault| fault.unwrap_or_else(Error::io(path)))
}

fn inflate<'a>(file: NamedBytes<'a>, limits: &Limits) -> Result<std::borrow::Cow<'a, [u8]>, Error> {
    if !file.bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(file.bytes.into());
    }
    let damaged = |source| Error::Gzip { file: file.name.to_owned(), source };
    let plain = capped(MultiGzDecoder::new(file.bytes), file.name, limits);
    plain.map(Into::into).map_err(|fault| fault.unwrap_or_else(damaged))
}

/// Either the error, or how the reader failed.
enum Fault {
    TooLarge(Error),
    Read(std::io::Error),
}

impl Fault {
    fn unwrap_or_else(self, read: impl FnOnce(std::io::Error) -> Error) -> Error {
        match self {
            Self::TooLarge(error) => error,
            Self::Read(source) => read(source),
        }
    }
}

fn capped(from: impl Read, name: &str, limits: &Limits) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    from.take(limits.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(Fault::Read)?;
    let found = bytes.len() as u64;
    if found > limits.bytes {
        let (file, what) = (name.to_owned(), "number of bytes, decompressed,");
        return Err(Fault::TooLarge(Error::TooLarge { file, what, found, allowed: limits.bytes }));
    }
    Ok(bytes)
}
