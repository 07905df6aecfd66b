//! Files of the server: its user's alone, or at least unchangeable by others.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use underpin_privacy::durable::{self, OwnedError};

use crate::Error;

/// No file that is read whole is larger, bytes.
const MOST: u64 = 1 << 30;

/// The error of a file or folder that is to be its user's alone.
pub(crate) fn owned(path: &Path) -> impl Fn(OwnedError) -> Error {
    move |error| match error {
        OwnedError::Exposed(exposure) => Error::Exposed { path: path.to_owned(), exposure },
        OwnedError::Io(source) => Error::file(path)(source),
        error => Error::file(path)(std::io::Error::other(error)),
    }
}

/// Refuses a file or folder that is a link, of another user but root, or that others may change; true when others may read
/// it.
///
/// # Errors
///
/// [`Error::Exposed`]; [`Error::File`] when there is nothing.
pub fn check_unchangeable(path: &Path) -> Result<bool, Error> {
    let found = fs::symlink_metadata(path).map_err(Error::file(path))?;
    if let Some(exposure) = durable::change_exposure(&found).map_err(Error::file(path))? {
        return Err(Error::Exposed { path: path.to_owned(), exposure });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        Ok(found.mode() & 0o044 != 0)
    }
    #[cfg(not(unix))]
    Ok(false)
}

/// The bytes of a file of its user's alone; none where there is no file.
pub(crate) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    durable::read_owned(path, MOST).map_err(owned(path))
}

/// Makes a folder for its user alone, or checks that it is one.
///
/// # Errors
///
/// [`Error::Exposed`] when others may touch it; [`Error::File`].
pub fn private_folder(path: &Path) -> Result<(), Error> {
    durable::owned_folder(path).map_err(owned(path))
}

/// Replaces the file: readers see the old bytes or the new, a crash included.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    durable::replace_owned(path, bytes).map_err(owned(path))
}

/// A lock file of its user's, held until it is dropped; none while another process holds it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, Error> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(source)) => Err(Error::file(path)(source)),
    }
}

/// A lock file of its user's, held until it is dropped; waits for whoever holds it.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = open_lock(path)?;
    file.lock().map_err(Error::file(path))?;
    Ok(file)
}

fn open_lock(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    durable::open_owned(path, options.write(true).create(true).truncate(false)).map_err(owned(path))
}
