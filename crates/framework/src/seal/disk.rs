//! Files, written so that they survive a crash and read so that they cannot exhaust memory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use underpin_core::Digest;

use super::{Error, Flaw};

/// Writes a file that must not exist yet, and waits until it is on the disk.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", path))
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", path))
}

/// Reads a plain file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Flaw> {
    let file = open_plain(path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit { Err(Flaw::TooLarge { limit }) } else { Ok(bytes) }
}

/// SHA-256 of a plain file of any size; what was written to it is on the disk afterwards.
pub(super) fn digest_durably(path: &Path) -> Result<Digest, Flaw> {
    let mut file = open_plain(path)?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    file.sync_all().map_err(unreadable)?;
    Ok(Digest::new(hasher.finalize().into()))
}

fn open_plain(path: &Path) -> Result<File, Flaw> {
    let found = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Flaw::Missing,
        _ => unreadable(error),
    };
    if !fs::symlink_metadata(path).map_err(found)?.is_file() {
        return Err(Flaw::NotAFile);
    }
    File::open(path).map_err(found)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn unreadable(error: io::Error) -> Flaw {
    Flaw::Unreadable { reason: error.to_string() }
}

/// How often a lock is tried again, and after how long: two seconds in all.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// A folder's lock; given back when dropped, or when the process dies.
#[derive(Debug)]
pub(super) struct Lock(File);

/// A process that another thread is just starting holds a copy of the file; closing ours alone would keep the lock.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the lock of a folder for writing.
pub(super) fn lock(folder: &Path) -> Result<Lock, Error> {
    let busy = || Error::Busy { path: folder.to_owned() };
    let file = File::open(folder).map_err(Error::io("open", folder))?;
    match file.try_lock() {
        Ok(()) if is_at(&file, folder) => Ok(Lock(file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(busy()),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", folder)(source)),
    }
}

/// [`lock`], waiting up to ten seconds for others to finish: nobody holds a lock for longer than it takes to read or
/// write a run.
pub(super) fn lock_patiently(folder: &Path) -> Result<Lock, Error> {
    for _ in 0..5 * TRIES {
        match lock(folder) {
            Err(Error::Busy { .. }) => std::thread::sleep(PAUSE),
            locked => return locked,
        }
    }
    lock(folder)
}

/// Waits until nobody writes to a folder, and keeps writers out until the lock is dropped.
///
/// A wait of more than two seconds is an error.
pub(super) fn lock_shared(folder: &Path) -> Result<Lock, Flaw> {
    let file = File::open(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Flaw::Missing,
        _ => unreadable(error),
    })?;
    for _ in 0..TRIES {
        match file.try_lock_shared() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        }
    }
    Err(Flaw::Busy)
}

/// Whether `file` still is what `path` names: someone may have renamed it between opening and locking.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let held = identity(file.metadata());
    held.is_some() && held == identity(fs::metadata(path))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_once_its_lock_is_dropped_whoever_inherited_its_file() {
        let place = tempfile::tempdir().unwrap();
        let held = lock(place.path()).unwrap();
        assert!(matches!(lock(place.path()), Err(Error::Busy { .. })));
        // What a fork does.
        let inherited = held.0.try_clone().unwrap();
        drop(held);
        let shared = lock_shared(place.path()).unwrap();
        drop(shared);
        lock(place.path()).unwrap();
        drop(inherited);
    }
}
