//! The owner's state folder: what this user remembers of runs, wherever their folders lie.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, file};

/// A folder of small records, its user's alone, that stands apart from every run folder: a run or a ledger that went back,
/// or vanished, is found out by what was written here.
///
/// Records are JSON files, `KIND/NAME.json`; each is replaced whole.
///
/// # Guarantees
///
/// 1. The folder and all in it are made for their user alone; a folder or record that is a link, another user's or open to
///    others is refused, also by root (`what_others_may_touch_is_refused`).
/// 2. A record is whole, the old or the new, whenever the process is killed (`a_record_is_replaced_whole`).
///
/// # Limits
///
/// Whoever may write the folder may make it forget. A second machine remembers nothing of the first.
///
/// # Examples
///
/// ```
/// use underpin_serve::OwnerState;
///
/// # let folder = tempfile::tempdir()?;
/// let state = OwnerState::open(&folder.path().join("state"))?;
/// assert_eq!(state.read::<u64>("heads", "run-1")?, None);
/// state.write("heads", "run-1", &7_u64)?;
/// assert_eq!(state.read::<u64>("heads", "run-1")?, Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OwnerState {
    folder: PathBuf,
}

/// A lock of a record, given back when it is dropped or its process ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl OwnerState {
    /// Where the folder of this user lies: `$UNDERPIN_STATE`, else `$XDG_STATE_HOME/underpin`, else
    /// `~/.local/state/underpin`; none when none of the variables is set.
    pub fn default_path() -> Option<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        set("UNDERPIN_STATE")
            .or_else(|| set("XDG_STATE_HOME").map(|state| state.join("underpin")))
            .or_else(|| set("HOME").map(|home| home.join(".local/state/underpin")))
    }

    /// Opens the folder; made for its user alone where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Exposed`] when others may touch it, [`Error::File`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        file::private_folder(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The record `name` of a kind; none where none was ever written.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when it holds something else; else as [`OwnerState::open`].
    pub fn read<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Result<Option<T>, Error> {
        let path = self.path(kind, name, "json")?;
        let Some(bytes) = file::read_private(&path)? else { return Ok(None) };
        let format = |source| Error::Format { path: path.clone(), what: "a record of the owner's state", source };
        serde_json::from_slice(&bytes).map(Some).map_err(format)
    }

    /// Writes the record `name` of a kind; on disk when this returns.
    ///
    /// # Errors
    ///
    /// As [`OwnerState::open`].
    pub fn write<T: Serialize>(&self, kind: &str, name: &str, record: &T) -> Result<(), Error> {
        let path = self.path(kind, name, "json")?;
        let format = |source| Error::Format { path: path.clone(), what: "a record of the owner's state", source };
        file::replace(&path, &serde_json::to_vec_pretty(record).map_err(format)?)
    }

    /// Locks the record `name` of a kind for this process; none while another holds it.
    ///
    /// # Errors
    ///
    /// As [`OwnerState::open`].
    pub fn try_lock(&self, kind: &str, name: &str) -> Result<Option<StateLock>, Error> {
        Ok(file::try_lock(&self.path(kind, name, "lock")?)?.map(|file| StateLock { _file: file }))
    }

    /// Locks the record `name` of a kind, waiting for whoever holds it: for what is read, changed and written.
    ///
    /// # Errors
    ///
    /// As [`OwnerState::open`].
    pub fn lock(&self, kind: &str, name: &str) -> Result<StateLock, Error> {
        Ok(StateLock { _file: file::lock(&self.path(kind, name, "lock")?)? })
    }

    /// The file of a record, in a folder that exists.
    fn path(&self, kind: &str, name: &str, ending: &str) -> Result<PathBuf, Error> {
        for word in [kind, name] {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if !(1..=128).contains(&word.len()) || !word.bytes().all(allowed) || word.starts_with('.') {
                return Err(Error::RecordName { name: word.to_owned() });
            }
        }
        let folder = self.folder.join(kind);
        file::private_folder(&folder)?;
        Ok(folder.join(format!("{name}.{ending}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> (tempfile::TempDir, OwnerState) {
        let folder = tempfile::tempdir().unwrap();
        let state = OwnerState::open(&folder.path().join("state")).unwrap();
        (folder, state)
    }

    #[test]
    fn a_record_is_replaced_whole() {
        let (_folder, state) = opened();
        state.write("heads", "a", &[1, 2, 3]).unwrap();
        state.write("heads", "a", &[4]).unwrap();
        assert_eq!(state.read::<Vec<u8>>("heads", "a").unwrap(), Some(vec![4]));
        assert_eq!(state.read::<Vec<u8>>("heads", "b").unwrap(), None);
        assert_eq!(state.folder().join("heads").read_dir().unwrap().count(), 1, "no draft is left behind");
        assert!(matches!(state.read::<String>("heads", "a"), Err(Error::Format { .. })));
        for bad in ["", ".", "../a", "a/b", "a b", &"x".repeat(129)] {
            assert!(matches!(state.read::<u8>("heads", bad), Err(Error::RecordName { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_record_is_locked_by_one_at_a_time() {
        let (_folder, state) = opened();
        let held = state.try_lock("runs", "a").unwrap().unwrap();
        assert!(state.try_lock("runs", "a").unwrap().is_none());
        assert!(state.try_lock("runs", "b").unwrap().is_some());
        drop(held);
        drop(state.lock("runs", "a").unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_touch_is_refused() {
        use underpin_privacy::durable::Exposure;

        use std::fs::{Permissions, set_permissions};
        use std::os::unix::fs::{PermissionsExt, symlink};

        let (folder, state) = opened();
        state.write("heads", "a", &1).unwrap();
        let (kind, record) = (state.folder().join("heads"), state.folder().join("heads/a.json"));
        for (path, good) in [(state.folder().to_owned(), 0o700), (kind, 0o700), (record.clone(), 0o600)] {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, good, "{}", path.display());
            set_permissions(&path, Permissions::from_mode(good | 0o040)).unwrap();
            let opened = OwnerState::open(state.folder()).and_then(|state| state.read::<u8>("heads", "a"));
            assert!(
                matches!(opened, Err(Error::Exposed { exposure: Exposure::Permissions { .. }, .. })),
                "{}",
                path.display()
            );
            set_permissions(&path, Permissions::from_mode(good)).unwrap();
        }
        std::fs::rename(&record, folder.path().join("elsewhere")).unwrap();
        symlink(folder.path().join("elsewhere"), &record).unwrap();
        assert!(matches!(state.read::<u8>("heads", "a"), Err(Error::Exposed { exposure: Exposure::Link, .. })));
        symlink(state.folder(), folder.path().join("link")).unwrap();
        assert!(matches!(
            OwnerState::open(&folder.path().join("link")),
            Err(Error::Exposed { exposure: Exposure::Link, .. })
        ));
        // Only root can give a file away.
        if rustix::process::geteuid().is_root() {
            std::fs::remove_file(&record).unwrap();
            state.write("heads", "a", &1).unwrap();
            std::os::unix::fs::chown(&record, Some(12345), None).unwrap();
            assert!(matches!(
                state.read::<u8>("heads", "a"),
                Err(Error::Exposed { exposure: Exposure::Owner { owner: 12345, .. }, .. })
            ));
        }
    }
}
