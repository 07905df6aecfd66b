//! Run folders in the making, known to the whole process, so that a signal can take them away.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Error;

/// Attempts to remove a folder into which another thread may be writing.
const ATTEMPTS: usize = 100;

/// The hidden folders that this process is writing.
#[derive(Debug)]
pub(super) struct Unfinished {
    folders: BTreeSet<PathBuf>,
    abandoned: bool,
}

static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished { folders: BTreeSet::new(), abandoned: false });

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
    pub(super) fn begin(&mut self, partial: &Path) {
        self.folders.insert(partial.to_owned());
    }

    pub(super) fn end(&mut self, partial: &Path) {
        self.folders.remove(partial);
    }
}

/// Removes every run folder that this process has begun and not finished. For whoever ends the process, on a signal say:
/// from then on no [`RunFolder`](super::RunFolder) of this process can be created or finished.
///
/// A run that is being given its name at this moment gets it, complete; it is not removed.
pub fn abandon() {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.abandoned = true;
    for folder in &unfinished.folders {
        // Another thread may put a file into it between the listing and the removal.
        let removed = (0..ATTEMPTS).map(|_| fs::remove_dir_all(folder)).find(|removed| match removed {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        });
        if removed.is_none() {
            tracing::warn!(path = %folder.display(), "an unfinished run could not be removed");
        }
    }
}
