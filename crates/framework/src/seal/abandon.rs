//! Run folders in the making, known to the whole process, so that a signal can take them away.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Error;

/// Attempts to remove a folder into which another thread may be writing.
const ATTEMPTS: usize = 100;

/// The hidden folders that this process is writing, each with the folders above it that were made for it.
#[derive(Debug)]
pub(super) struct Unfinished {
    folders: BTreeMap<PathBuf, Vec<PathBuf>>,
    abandoned: bool,
}

static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished { folders: BTreeMap::new(), abandoned: false });

/// Holds back [`abandon`] until it is dropped: a folder is made, named or removed meanwhile.
///
/// # Errors
///
/// [`Error::Abandoned`] once [`abandon`] was called.
pub(super) fn unfinished() -> Result<MutexGuard<'static, Unfinished>, Error> {
    // OK after a panic elsewhere: a set of paths has no broken state.
    let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    if unfinished.abandoned { Err(Error::Abandoned) } else { Ok(unfinished) }
}

impl Unfinished {
    /// `above`: the folders that were made for it, the outermost first.
    pub(super) fn begin(&mut self, partial: &Path, above: Vec<PathBuf>) {
        self.folders.insert(partial.to_owned(), above);
    }

    /// The folders above it that were made for it.
    pub(super) fn end(&mut self, partial: &Path) -> Vec<PathBuf> {
        self.folders.remove(partial).unwrap_or_default()
    }
}

/// Removes folders that were made for a run, the innermost first, as far as nothing else lies in them.
pub(super) fn remove_empty(above: &[PathBuf]) {
    for folder in above.iter().rev() {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Removes every run folder that this process has begun and not finished, and the folders made above it. For whoever ends the process, on a signal say:
/// from then on no [`RunFolder`](super::RunFolder) of this process can be created or finished.
///
/// A run that is being given its name at this moment gets it, complete; it is not removed.
pub fn abandon() {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.abandoned = true;
    for (folder, above) in &unfinished.folders {
        // Another thread may put a file into it between the listing and the removal.
        let removed = (0..ATTEMPTS).map(|_| fs::remove_dir_all(folder)).find(|removed| match removed {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        });
        if removed.is_none() {
            tracing::warn!(path = %folder.display(), "an unfinished run could not be removed");
        }
        remove_empty(above);
    }
}
