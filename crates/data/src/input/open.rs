//! Opens a CSV, IDX, Parquet, Arrow or JSON-lines file, plain or compressed by gzip, as a table of raw rows.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use underpin_core::{Digest, Subject};

use super::format::{Format, NamedBytes, Source, format_of};
use super::idx::{self, Idx};
use super::limits::Limits;
use super::raw::RawTable;
use super::{arrow_file, csv, json_lines, parquet};
use crate::Error;

/// Reads raw rows; nothing in them is trusted yet.
///
/// # Errors
///
/// [`Error::Io`], [`Error::UnknownFormat`], [`Error::Gzip`], [`Error::TooLarge`], [`Error::Empty`],
/// [`Error::HeaderOnly`], [`Error::LongRecord`], [`Error::NotIdx`], [`Error::Idx`], [`Error::NoLabels`],
/// [`Error::Parquet`], [`Error::Arrow`], [`Error::MissingColumn`], [`Error::RepeatedColumn`], [`Error::ColumnSetting`],
/// [`Error::NoLabelColumn`], [`Error::SeveralLabels`], [`Error::NoLabel`], [`Error::NoFeatures`] or
/// [`Error::ShapeMismatch`] when the file as a whole is of no use; a bad row is kept for [`admit`](crate::admit) to set aside.
pub fn open(source: &Source, limits: &Limits) -> Result<RawTable, Error> {
    let bytes = read(&source.path, limits)?;
    let name = file_name(&source.path);
    let labels_path = label_file(source);
    let labels = match &labels_path {
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
        Format::Csv => csv::read(file.name, &plain, source, limits)?.settle(source, limits)?,
        Format::Parquet => parquet::read(file.name, plain.into_owned(), limits)?.settle(source, limits)?,
        Format::Arrow => arrow_file::read(file.name, plain.into_owned(), limits)?.settle(source, limits)?,
        Format::JsonLines => json_lines::read(file.name, &plain, limits)?.settle(source, limits)?,
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
    let named = |file: NamedBytes<'_>| Subject { name: file.name.to_owned(), digest: Digest::of(file.bytes) };
    for note in raw_table.notes() {
        tracing::info!(file = file.name, note, "read");
    }
    let raw_table = raw_table.with_files(files.into_iter().flatten().map(named).collect());
    match &source.shape {
        Some(shape) => raw_table.with_shape(shape.clone()),
        None => Ok(raw_table),
    }
}

/// The file of labels that a source has besides its data; none when the format keeps them in one file.
pub(super) fn label_file(source: &Source) -> Option<PathBuf> {
    let format = source.format.or_else(|| format_of(&file_name(&source.path)));
    let labels = || source.labels.clone().or_else(|| labels_beside(&source.path));
    (format == Some(Format::Idx)).then(labels).flatten()
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
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
