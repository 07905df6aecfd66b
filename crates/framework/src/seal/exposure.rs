//! What others than the user may change about a run folder.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use underpin_privacy::durable::{Exposure, change_exposure};

use super::layout::FILES;

/// A file of a run folder, or the folder itself, that others may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// Its name within the folder; `.` is the folder.
    pub file: String,
    /// Why others may change it.
    pub exposure: Exposure,
}

/// What others may change: the folder and each of its files that is a link, that belongs to another user than the one who
/// runs the program or root, or that others may write. A signature shows what was changed; this shows who could.
///
/// # Limits
///
/// Links, owners and permissions are those of Unix; elsewhere links alone are found. No more files are looked at than a run
/// has.
///
/// # Errors
///
/// When the folder cannot be looked at.
pub fn exposures(folder: &Path) -> io::Result<Vec<Exposed>> {
    let mut exposed = Vec::new();
    let mut look = |file: String, found: &Metadata| -> io::Result<()> {
        exposed.extend(change_exposure(found)?.map(|exposure| Exposed { file, exposure }));
        Ok(())
    };
    let own = fs::symlink_metadata(folder)?;
    look(".".to_owned(), &own)?;
    if own.is_symlink() {
        look(".".to_owned(), &fs::metadata(folder)?)?;
    }
    for entry in fs::read_dir(folder)?.take(FILES + 2) {
        let entry = entry?;
        look(entry.file_name().to_string_lossy().into_owned(), &entry.metadata()?)?;
    }
    exposed.sort_unstable_by(|a, b| a.file.cmp(&b.file));
    Ok(exposed)
}
