//! Files, written so that they survive a crash and read so that they cannot exhaust memory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use underpin_core::Digest;
use underpin_privacy::durable::{OwnedError, open_owned};

use super::layout::LOCK;
use super::{Error, Flaw, ListedFile};

/// Bytes that are read at once of a file that is hashed.
const PIECE: usize = 64 << 10;

/// Makes a folder for its owner alone; one that is there already is made so.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // What a killed run left is a folder; a link to another one above all is not ours to change.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path)?.is_dir() {
                private(path, 0o700)
            } else {
                Ok(())
            }
        }
        made => made,
    }
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn private(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// Writes a file for its owner alone that must not exist yet, and waits until it is on the disk.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> io::Result<()> {
        let mut file = options.open(path)?;
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

/// Reads a plain file that must be `listed`, and at most `limit` bytes long.
pub(super) fn read_listed(path: &Path, listed: &ListedFile, limit: u64) -> Result<Vec<u8>, Flaw> {
    if listed.size > limit {
        return Err(Flaw::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    stream_listed(path, listed, |from| from.read_to_end(&mut bytes).map(drop).map_err(unreadable))?;
    Ok(bytes)
}

/// Hands a plain file that must be `listed` to `consume`, piece by piece, and hashes these very pieces: what `consume` made
/// of them is given back only when they are those that were signed for. No more than a piece is held in memory.
pub(super) fn stream_listed<T>(
    path: &Path,
    listed: &ListedFile,
    consume: impl FnOnce(&mut BufReader<Hashing>) -> Result<T, Flaw>,
) -> Result<T, Flaw> {
    let size = |found| Flaw::Size { expected: listed.size, found };
    let file = open_plain(path)?;
    let found = file.metadata().map_err(unreadable)?.len();
    if found != listed.size {
        return Err(size(found));
    }
    // A file that grows meanwhile is not read for ever.
    let hashing = Hashing { from: file.take(listed.size.saturating_add(1)), hasher: Sha256::new(), read: 0 };
    let mut from = BufReader::with_capacity(PIECE, hashing);
    let consumed = consume(&mut from);
    let mut hashing = from.into_inner();
    let mut piece = vec![0; PIECE];
    while hashing.read(&mut piece).map_err(unreadable)? > 0 {}
    let (found, hashed) = (Digest::new(hashing.hasher.finalize().into()), hashing.read);
    if hashed != listed.size {
        return Err(size(hashed));
    }
    if found != listed.digest {
        return Err(Flaw::Digest { by: "the accountability log", expected: listed.digest, found });
    }
    consumed
}

/// A file whose bytes are hashed as they are read.
pub(super) struct Hashing {
    from: io::Take<File>,
    hasher: Sha256,
    read: u64,
}

impl Read for Hashing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hasher.update(&into[..read]);
        self.read += read as u64;
        Ok(read)
    }
}

/// Size and SHA-256 of a plain file of any size; what was written to it is on the disk afterwards, for its owner alone.
pub(super) fn list_durably(path: &Path) -> Result<ListedFile, Flaw> {
    let mut file = open_plain(path)?;
    private(path, 0o600).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let size = io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    file.sync_all().map_err(unreadable)?;
    Ok(ListedFile { digest: Digest::new(hasher.finalize().into()), size })
}

/// Opens a plain file; no link is followed, and no pipe waited for.
fn open_plain(path: &Path) -> Result<File, Flaw> {
    let found = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Flaw::Missing,
        _ => unreadable(error),
    };
    let plain = |metadata: fs::Metadata| if metadata.is_file() { Ok(()) } else { Err(Flaw::NotAFile) };
    plain(fs::symlink_metadata(path).map_err(found)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(found)?;
    // Another file may have taken the name meanwhile.
    plain(file.metadata().map_err(unreadable)?)?;
    Ok(file)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn unreadable(error: io::Error) -> Flaw {
    Flaw::Unreadable { reason: error.to_string() }
}

/// How often a lock is tried again, and after how long: ten seconds in all.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// A folder's lock, kept by its writers from each other; given back when dropped, or when the process dies.
///
/// It is on a file in the folder that its owner alone can open: nobody else can hold it, and no reader needs it.
#[derive(Debug)]
pub(super) struct Lock(File);

/// A process that another thread is just starting holds a copy of the file; closing ours alone would keep the lock.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the lock of a folder for writing.
///
/// # Errors
///
/// [`Error::Busy`] while another process writes; [`Error::Lock`] when others could hold the lock; [`Error::Io`].
pub(super) fn lock(folder: &Path) -> Result<Lock, Error> {
    let busy = || Error::Busy { path: folder.to_owned() };
    let path = folder.join(LOCK);
    let opened = open_owned(&path, OpenOptions::new().write(true).create(true).truncate(false));
    let file = opened.map_err(|error| match error {
        OwnedError::Exposed(exposure) => Error::Lock { path: path.clone(), exposure },
        OwnedError::Io(source) => Error::io("write in", folder)(source),
        other => Error::io("open", &path)(io::Error::other(other)),
    })?;
    match file.try_lock() {
        Ok(()) if is_at(&file, &path) => Ok(Lock(file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(busy()),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", folder)(source)),
    }
}

/// [`lock`], waiting up to ten seconds for others to finish: nobody holds a lock for longer than it takes to write.
pub(super) fn lock_patiently(folder: &Path) -> Result<Lock, Error> {
    for _ in 0..TRIES {
        match lock(folder) {
            Err(Error::Busy { .. }) => std::thread::sleep(PAUSE),
            locked => return locked,
        }
    }
    lock(folder)
}

/// Whether `file` still is what `path` names: someone may have renamed it between opening and locking.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let held = identity(file.metadata());
    held.is_some() && held == identity(fs::symlink_metadata(path))
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
        lock(place.path()).unwrap();
        drop(inherited);
    }
}
