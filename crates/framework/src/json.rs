//! JSON files of a run: written with a newline at the end, read from bytes that are verified as they are read.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, seal};

/// No JSON file of a run is read that is larger, bytes.
const LIMIT: u64 = 64 << 20;

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
/// [`Error::MissingFile`] when the run has no such file, [`Error::Fault`] when it was changed since the run was verified or
/// is larger than 64 MiB, [`Error::Json`] when it holds something else.
pub(crate) fn from_run<T: DeserializeOwned>(run: &seal::Run, file: &str) -> Result<T, Error> {
    if !run.listed().contains_key(file) {
        return Err(Error::MissingFile { file: file.to_owned() });
    }
    serde_json::from_slice(&run.file(file, LIMIT)?).map_err(|source| Error::Json { file: file.to_owned(), source })
}
