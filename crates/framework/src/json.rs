//! JSON files of a run: written with a newline at the end, read from verified bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, seal};

/// The bytes of `value` as the JSON file `file`.
///
/// # Errors
///
/// [`Error::Json`] when it cannot be written as JSON.
pub(crate) fn to_json<T: Serialize>(value: &T, file: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|source| Error::Json { file: file.to_owned(), source })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A file of a verified run, read as JSON.
///
/// # Errors
///
/// [`Error::MissingFile`] when the run has no such file, [`Error::Json`] when it holds something else.
pub(crate) fn from_run<T: DeserializeOwned>(run: &seal::Run, file: &str) -> Result<T, Error> {
    let bytes = run.file(file).ok_or_else(|| Error::MissingFile { file: file.to_owned() })?;
    serde_json::from_slice(bytes).map_err(|source| Error::Json { file: file.to_owned(), source })
}
