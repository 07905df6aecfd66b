//! Files that are whole or absent, and their owner's alone.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// Makes new files their owner's alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Refuses what is a link, belongs to somebody else, or has one of the permission bits `closed` for others.
///
/// What `path` names is looked at, not what a link leads to. Root is nobody else: it may do what it likes anyway.
fn check(path: &Path, found: &Metadata, closed: u32) -> Result<(), Error> {
    if found.is_symlink() {
        return Err(Error::Link { path: path.to_owned() });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let (owner, mode) = (found.uid(), found.mode() & 0o777);
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(Error::Owner { path: path.to_owned(), owner });
        }
        if mode & closed != 0 {
            return Err(Error::Permissions { path: path.to_owned(), mode });
        }
    }
    #[cfg(not(unix))]
    let _ = closed;
    Ok(())
}

/// Refuses a file or folder that is a link, not its user's, or open to others; true where there is one.
pub(crate) fn check_private(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(found) => check(path, &found, 0o077).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file(path)(error)),
    }
}

/// Refuses a file or folder that is a link, not its user's, or that others may change; true when others may read it.
///
/// # Errors
///
/// [`Error::Link`], [`Error::Owner`], [`Error::Permissions`]; [`Error::File`] when there is nothing.
pub fn check_unchangeable(path: &Path) -> Result<bool, Error> {
    let found = fs::symlink_metadata(path).map_err(Error::file(path))?;
    check(path, &found, 0o022)?;
    Ok(check(path, &found, 0o044).is_err())
}

/// The bytes of a file of its user's alone.
pub(crate) fn read_private(path: &Path) -> Result<Vec<u8>, Error> {
    let mut file = File::open(path).map_err(Error::file(path))?;
    // The file that was opened, whatever lies under its name by now.
    check(path, &file.metadata().map_err(Error::file(path))?, 0o077)?;
    let mut bytes = vec![];
    file.read_to_end(&mut bytes).map_err(Error::file(path))?;
    Ok(bytes)
}

/// Makes a folder for its user alone, or checks that it is one.
///
/// # Errors
///
/// [`Error::Link`], [`Error::Owner`] or [`Error::Permissions`] when others may touch it; [`Error::File`].
pub fn private_folder(path: &Path) -> Result<(), Error> {
    if check_private(path)? {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above).map_err(Error::file(above))?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check_private(path).map(drop),
        made => made.map_err(Error::file(path)),
    }
}

/// Replaces the file: readers see the old bytes or the new, a crash included.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let draft = draft(path);
    let written = write(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if let Err(source) = written {
        // OK to pass over: the draft is of no use, and may never have been made.
        let _ = fs::remove_file(&draft);
        return Err(Error::file(path)(source));
    }
    sync_folder(path)
}

/// Makes a new file of these bytes, whole or not at all; false where there is one already, which is left as it is.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    let draft = draft(path);
    // Unlike a renaming, a link replaces nothing.
    let written = write(&draft, bytes).and_then(|()| fs::hard_link(&draft, path));
    // OK to pass over: the file has its own name by now, or was never made.
    let _ = fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::file(path)(error)),
        Ok(()) => sync_folder(path).map(|()| true),
    }
}

/// Makes sure that the folder that holds `path` remembers it through a power loss.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder))
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
    check_private(path)?;
    let mut options = OpenOptions::new();
    private(options.write(true).create(true).truncate(false)).open(path).map_err(Error::file(path))
}

fn write(draft: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name beside `path` that no other writer uses.
fn draft(path: &Path) -> PathBuf {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}.tmp", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
    name.into()
}
