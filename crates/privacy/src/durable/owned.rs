//! Files and folders that are their owner's alone: made so, and refused where they are not.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a file or a folder is not its owner's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exposure {
    /// The name is a symbolic link, which may lead to anything.
    #[error("it is a symbolic link; allowed: the file or folder itself")]
    Link,
    /// It is a device, a pipe or a folder where a file is expected, or no folder where one is.
    #[error("it is no regular file, or no folder where one is needed")]
    OtherKind,
    /// It belongs to another user.
    #[error("it belongs to user {owner}; allowed: user {own}, who runs this program")]
    Owner {
        /// Number of the user to whom it belongs.
        owner: u32,
        /// Number of the user who runs the program.
        own: u32,
    },
    /// Others than its owner may read or write it.
    #[error("its mode is {mode:o}: others may read or write it; allowed: 600, for a folder 700")]
    Permissions {
        /// Its permission bits.
        mode: u32,
    },
    /// The name led to another file after it was looked at.
    #[error("another file took its name while it was opened")]
    Exchanged,
}

/// Why a file or a folder of its owner's alone cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnedError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Others may have a hand in it.
    #[error("{0}")]
    Exposed(Exposure),
}

/// Opens a file of its owner's alone, or makes it (mode 600) where `options` say so.
///
/// # Guarantees
///
/// 1. A symbolic link, what is no regular file, a file of another user and one that others may read or write are refused,
///    whoever runs the program, root included; nothing of it is read, written or locked before
///    (`a_file_that_others_may_touch_is_refused`). So whoever may not read the file cannot hold a lock on it either.
/// 2. A new file is its owner's alone from the first moment (`new_files_are_their_owners_alone`).
///
/// # Limits
///
/// Links, owners and permissions are those of Unix; elsewhere nothing is checked.
///
/// # Errors
///
/// [`OwnedError`].
pub fn open_owned(path: &Path, options: &mut OpenOptions) -> Result<File, OwnedError> {
    // By `lstat`: a link is seen, not followed.
    let named = match fs::symlink_metadata(path) {
        Ok(named) => Some(named),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(named) = &named {
        check(named, Metadata::is_file)?;
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let file = options.open(path)?;
    let opened = file.metadata()?;
    check(&opened, Metadata::is_file)?;
    let now = fs::symlink_metadata(path)?;
    check(&now, Metadata::is_file)?;
    let same = |other: &Metadata| identity(other) == identity(&opened);
    if !same(&now) || !named.as_ref().is_none_or(same) {
        return Err(OwnedError::Exposed(Exposure::Exchanged));
    }
    Ok(file)
}

/// Why others than the user who runs the program, or root, may change a file or folder that was looked at without following
/// links; none when they may not. Reading it is not changing it.
///
/// # Limits
///
/// Those of [`open_owned`].
///
/// # Errors
///
/// When the system does not say who runs the program.
pub fn change_exposure(found: &Metadata) -> io::Result<Option<Exposure>> {
    if found.is_symlink() {
        return Ok(Some(Exposure::Link));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let (owner, own, mode) = (found.uid(), own_user()?, found.mode() & 0o777);
        if owner != 0 && owner != own {
            return Ok(Some(Exposure::Owner { owner, own }));
        }
        if mode & 0o022 != 0 {
            return Ok(Some(Exposure::Permissions { mode }));
        }
    }
    Ok(None)
}

/// The bytes of a file of its owner's alone; none where there is no file.
///
/// # Errors
///
/// [`OwnedError`]; a file of more than `most` bytes is [`ErrorKind::FileTooLarge`].
pub fn read_owned(path: &Path, most: u64) -> Result<Option<Vec<u8>>, OwnedError> {
    let file = match open_owned(path, OpenOptions::new().read(true)) {
        Err(OwnedError::Io(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::Error::from(ErrorKind::FileTooLarge).into()) } else { Ok(Some(bytes)) }
}

/// Makes a new file of these bytes, its owner's alone and on disk when this returns, whole or not at all; false where there
/// is one already, which is left as it is.
///
/// # Errors
///
/// [`OwnedError`].
pub fn create_owned(path: &Path, bytes: &[u8]) -> Result<bool, OwnedError> {
    // Unlike a renaming, a link replaces nothing.
    match drafted(path, bytes, |draft| fs::hard_link(draft, path)) {
        Err(OwnedError::Io(error)) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    }
}

/// Replaces a file, its owner's alone and on disk when this returns: readers see the old bytes or the new, a crash
/// included.
///
/// # Errors
///
/// [`OwnedError`]; then the old file stands.
pub fn replace_owned(path: &Path, bytes: &[u8]) -> Result<(), OwnedError> {
    drafted(path, bytes, |draft| fs::rename(draft, path))
}

/// Writes a draft beside `path`, hands it to `name`, which gives it its name, and leaves none behind.
fn drafted(path: &Path, bytes: &[u8], name: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), OwnedError> {
    let draft = draft_beside(path);
    let written = open_owned(&draft, OpenOptions::new().write(true).create_new(true)).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(name(&draft)?)
    });
    // OK to pass over: the file has its own name by now, or was never made.
    let _ = fs::remove_file(&draft);
    written?;
    Ok(sync_folder_of(path)?)
}

/// Makes a folder (mode 700), with those above it, or checks that the one that is there is its owner's alone.
///
/// # Errors
///
/// [`OwnedError`].
pub fn owned_folder(path: &Path) -> Result<(), OwnedError> {
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check(&fs::symlink_metadata(path)?, Metadata::is_dir),
        Err(error) => Err(error.into()),
    }
}

/// Why the folder that holds `path` is not its owner's alone; none where it is. The folder is followed to where links lead.
///
/// # Errors
///
/// When the folder cannot be looked at.
pub fn folder_exposure(path: &Path) -> io::Result<Option<Exposure>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match check(&fs::metadata(folder)?, Metadata::is_dir) {
        Ok(()) => Ok(None),
        Err(OwnedError::Exposed(exposure)) => Ok(Some(exposure)),
        Err(OwnedError::Io(error)) => Err(error),
    }
}

/// Warns of a folder in which others may put another file in the place of `path`.
pub(super) fn warn_of_folder(path: &Path) {
    // OK to pass over: what cannot be looked at has just been used.
    let Ok(Some(exposure)) = folder_exposure(path) else { return };
    let exchangeable = match exposure {
        // In a sticky folder, such as /tmp, each user removes their own files alone.
        Exposure::Permissions { mode } => mode & 0o022 != 0 && mode & 0o1000 == 0,
        _ => false,
    };
    if exchangeable {
        let folder = path.parent().unwrap_or(Path::new(".")).display();
        tracing::warn!(%folder, %exposure, "others may put another file in the place of one in this folder");
    }
}

/// Makes sure that the folder that holds `path` remembers it through a power loss.
///
/// # Errors
///
/// When the folder cannot be synchronised.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// A name beside `path` that no other writer uses.
pub(super) fn draft_beside(path: &Path) -> PathBuf {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}.draft", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
    name.into()
}

/// Refuses what is not of the asked kind, or not the user's alone.
fn check(found: &Metadata, kind: impl Fn(&Metadata) -> bool) -> Result<(), OwnedError> {
    let exposed = |exposure| Err(OwnedError::Exposed(exposure));
    if found.is_symlink() {
        return exposed(Exposure::Link);
    }
    if !kind(found) {
        return exposed(Exposure::OtherKind);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let (owner, own, mode) = (found.uid(), own_user()?, found.mode() & 0o1777);
        if owner != own {
            return exposed(Exposure::Owner { owner, own });
        }
        if mode & 0o077 != 0 {
            return exposed(Exposure::Permissions { mode });
        }
    }
    Ok(())
}

/// The user to whom new files of this process belong: the owner of a pipe that it makes.
#[cfg(unix)]
fn own_user() -> io::Result<u32> {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;

    let (reader, _writer) = io::pipe()?;
    Ok(File::from(OwnedFd::from(reader)).metadata()?.uid())
}

/// What stays the same of a file while it is open.
#[cfg(unix)]
fn identity(found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) {}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn exposure<T: std::fmt::Debug>(result: Result<T, OwnedError>) -> Exposure {
        match result {
            Err(OwnedError::Exposed(exposure)) => exposure,
            other => panic!("{other:?}"),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn new_files_are_their_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let (folder, file) = (home.path().join("above/state"), home.path().join("above/state/file"));
        owned_folder(&folder).unwrap();
        open_owned(&file, OpenOptions::new().write(true).create(true)).unwrap();
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        owned_folder(&folder).unwrap();
        assert_eq!(folder_exposure(&file).unwrap(), None);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
        let open = Exposure::Permissions { mode: 0o750 };
        assert_eq!(folder_exposure(&file).unwrap(), Some(open));
        assert_eq!(exposure(owned_folder(&folder)), open);
    }

    #[test]
    fn a_file_that_others_may_touch_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let open = |name: &str| open_owned(&at(name), OpenOptions::new().read(true).write(true).create(true));
        open("own").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o666] {
            fs::set_permissions(at("own"), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(exposure(open("own")), Exposure::Permissions { mode });
        }
        fs::set_permissions(at("own"), fs::Permissions::from_mode(0o600)).unwrap();
        open("own").unwrap();
        symlink(at("own"), at("link")).unwrap();
        assert_eq!(exposure(open("link")), Exposure::Link);
        symlink(at("absent"), at("nowhere")).unwrap();
        assert_eq!(exposure(open("nowhere")), Exposure::Link);
        assert!(!at("absent").exists(), "no link is followed to make a file");
        fs::create_dir(at("folder")).unwrap();
        assert_eq!(exposure(open("folder")), Exposure::OtherKind);
        symlink(at("folder"), at("folder link")).unwrap();
        assert_eq!(exposure(owned_folder(&at("folder link"))), Exposure::Link);
        assert_eq!(exposure(owned_folder(&at("own"))), Exposure::OtherKind);
    }

    #[test]
    fn a_file_is_made_once_and_replaced_whole() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        assert_eq!(read_owned(&path, 9).unwrap(), None);
        assert!(create_owned(&path, b"first").unwrap());
        assert!(!create_owned(&path, b"second").unwrap(), "there is one");
        assert_eq!(read_owned(&path, 5).unwrap().as_deref(), Some(&b"first"[..]));
        assert!(matches!(read_owned(&path, 4), Err(OwnedError::Io(error)) if error.kind() == ErrorKind::FileTooLarge));
        replace_owned(&path, b"other").unwrap();
        assert_eq!(read_owned(&path, 5).unwrap().as_deref(), Some(&b"other"[..]));
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(exposure(read_owned(&path, 9)), Exposure::Permissions { mode: 0o640 });
        let nowhere = home.path().join("no/such/folder");
        assert!(replace_owned(&nowhere, b"x").is_err() && create_owned(&nowhere, b"x").is_err());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no draft is left behind");
    }

    /// Every file of this system that another user owns stands for one; under root there may be none but those that root
    /// gives away.
    #[test]
    fn a_file_of_another_user_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("theirs");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let own = own_user().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().uid(), own);
        let theirs = if std::os::unix::fs::chown(&path, Some(own + 1), None).is_ok() { path } else { "/".into() };
        let found = fs::symlink_metadata(&theirs).unwrap();
        let owner = found.uid();
        assert_ne!(owner, own);
        let refused = check(&found, |_| true).map(|()| "accepted");
        assert_eq!(exposure(refused), Exposure::Owner { owner, own });
    }
}
