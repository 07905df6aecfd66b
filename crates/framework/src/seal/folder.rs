//! The folder that a run leaves behind: all of it, or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use underpin_core::Digest;

use super::abandon::{remove_empty, unfinished};
use super::layout::{LOCK, check_name, files, names};
use super::{Action, Error, Log, LogHead, SigningKey, disk, verify};

/// A run folder in the making.
///
/// It is written as the hidden sibling `.NAME.partial` and gets its name when it is complete, sealed and verified: a
/// run that is interrupted, killed or fails leaves nothing under its name. The folder (mode 700) and its files (600) are
/// their owner's alone (`a_run_is_its_owner_s_alone`). What a killed run left behind is cleared
/// away by the next run of the same name; two at the same time are kept apart by a lock.
#[derive(Debug)]
pub struct RunFolder {
    target: PathBuf,
    partial: PathBuf,
    log: Log,
    _lock: disk::Lock,
    kept: Kept,
}

/// What becomes of the hidden folder on drop.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    No,
    Yes,
}

impl RunFolder {
    /// Begins a run folder that will appear at `path`. Folders above it are made.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] when `path` is anything but absent or an empty folder, [`Error::Busy`] when another process
    /// is writing a run of this name, [`Error::Io`] when nothing can be written there.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::Name { name: path.display().to_string() });
        };
        check_free(path)?;
        let partial = path.with_file_name(format!(".{name}.partial"));
        let above = absent_above(path);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(Error::io("create the folder", parent))?;
        }
        let mut unfinished = unfinished()?;
        disk::private_folder(&partial).map_err(Error::io("write in", &folder_above(path)))?;
        // What a killed run left is a folder; anything else, a link to another folder above all, is not ours to clear.
        if !fs::symlink_metadata(&partial).map_err(Error::io("read", &partial))?.is_dir() {
            return Err(Error::Occupied { path: partial });
        }
        let lock = disk::lock(&partial)?;
        let folder = Self { target: path.to_owned(), partial, log: Log::default(), _lock: lock, kept: Kept::No };
        unfinished.begin(&folder.partial, above);
        // Its drop takes the lock again.
        drop(unfinished);
        folder.clear()?;
        Ok(folder)
    }

    /// Where to write the file `name`, for writers that need a path.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] when no file of a run may have that name.
    pub fn path(&self, name: &str) -> Result<PathBuf, Error> {
        check_name(name)?;
        Ok(self.partial.join(name))
    }

    /// Writes a file that does not exist yet; its digest.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] or [`Error::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<Digest, Error> {
        disk::put(&self.path(name)?, bytes)?;
        Ok(Digest::of(bytes))
    }

    /// Puts an act on record.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn record(&mut self, act: Action, key: &SigningKey) -> Result<(), Error> {
        self.log.append(act, BTreeMap::new(), key)
    }

    /// Seals the run and gives it its name: writes the signer's key and the log, whose last entry, `act`, lists every
    /// other file. What would not verify is not published.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for a file that every run has, [`Error::Fault`] when the run would not verify,
    /// [`Error::Occupied`] when something has appeared at its place meanwhile, [`Error::Io`]. Nothing is left behind.
    pub fn finish(mut self, act: Action, key: &SigningKey) -> Result<LogHead, Error> {
        self.write(files::SIGNER, key.public().to_pem().as_bytes())?;
        let mut listed = BTreeMap::new();
        for name in names(&self.partial)? {
            check_name(&name)?;
            let file = disk::list_durably(&self.partial.join(&name)).map_err(|flaw| flaw.of(&name))?;
            listed.insert(name, file);
        }
        let missing = files::REQUIRED.into_iter().find(|name| *name != files::LOG && !listed.contains_key(*name));
        if let Some(name) = missing {
            return Err(Error::Missing { name });
        }
        self.log.append(act, listed, key)?;
        self.write(files::LOG, self.log.bytes())?;
        disk::sync_folder(&self.partial)?;
        verify::read(&self.partial, &[key.public()])?;
        check_free(&self.target)?;
        let mut unfinished = unfinished()?;
        // A folder takes the place of an empty folder only; anything else makes this fail.
        fs::rename(&self.partial, &self.target).map_err(Error::io("create", &self.target))?;
        self.kept = Kept::Yes;
        unfinished.end(&self.partial);
        drop(unfinished);
        tracing::info!(path = %self.target.display(), "sealed the run");
        disk::sync_folder(&folder_above(&self.target))?;
        Ok(self.log.head())
    }

    fn clear(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.partial).map_err(Error::io("read", &self.partial))? {
            let path = entry.map_err(Error::io("read", &self.partial))?.path();
            if path.file_name().is_some_and(|name| name == LOCK) {
                continue;
            }
            let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.kept == Kept::Yes {
            return;
        }
        // Abandoned, it is gone already.
        let Ok(mut unfinished) = unfinished() else { return };
        let above = unfinished.end(&self.partial);
        if let Err(error) = fs::remove_dir_all(&self.partial) {
            tracing::warn!(path = %self.partial.display(), %error, "an unfinished run could not be removed");
        }
        remove_empty(&above);
    }
}

/// Checks that a run folder can appear at `path`: nothing is there, or an empty folder.
///
/// # Errors
///
/// [`Error::Occupied`], [`Error::Io`].
pub fn check_free(path: &Path) -> Result<(), Error> {
    let occupied = || Error::Occupied { path: path.to_owned() };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("read", path)(error)),
        Ok(metadata) if !metadata.is_dir() => Err(occupied()),
        Ok(_) if fs::read_dir(path).map_err(Error::io("read", path))?.next().is_none() => Ok(()),
        Ok(_) => Err(occupied()),
    }
}

/// The folders above `path` that do not exist yet, the outermost first.
fn absent_above(path: &Path) -> Vec<PathBuf> {
    let above = path.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let mut absent: Vec<PathBuf> = above.map(Path::to_owned).collect();
    absent.reverse();
    absent
}

fn folder_above(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
