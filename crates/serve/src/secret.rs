//! The server's own secret, in a file of its owner's.

use std::path::Path;

use underpin_privacy::SecretKey;

use crate::{Error, file};

/// Length of the secret, in bytes.
const LENGTH: usize = 32;

/// The secret in the file at `path`; where there is none, one is made of the operating system's randomness, for its owner
/// alone. No other key, and nothing that is public, tells anything of it.
///
/// # Errors
///
/// [`Error::SecretLength`] when the file holds no secret; [`Error::Permissions`], [`Error::Owner`] or [`Error::Link`] when
/// others may touch it; [`Error::Entropy`], [`Error::File`].
///
/// # Examples
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("noise.key");
/// let made = underpin_serve::secret_file(&path)?;
/// let read = underpin_serve::secret_file(&path)?;
/// assert_eq!(made.fingerprint(), read.fingerprint());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn secret_file(path: &Path) -> Result<SecretKey, Error> {
    if !file::check_private(path)? {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).map_err(|source| Error::Entropy { source })?;
        // Where another process was faster, its secret is the one.
        file::create(path, &bytes)?;
    }
    let bytes = file::read_private(path)?;
    let length = bytes.len();
    let bytes: [u8; LENGTH] =
        bytes.try_into().map_err(|_| Error::SecretLength { path: path.to_owned(), length, expected: LENGTH })?;
    Ok(SecretKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_differs_from_every_other() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.key"), folder.path().join("b.key"));
        let made = secret_file(&a).unwrap().fingerprint();
        assert_eq!(secret_file(&a).unwrap().fingerprint(), made);
        assert_ne!(secret_file(&b).unwrap().fingerprint(), made);
        assert_eq!(folder.path().read_dir().unwrap().count(), 2, "no draft is left behind");
        for length in [0, 31, 33] {
            file::replace(&a, &vec![1; length]).unwrap();
            assert!(matches!(secret_file(&a), Err(Error::SecretLength { .. })), "{length}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_may_touch_is_refused() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        secret_file(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o602] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(matches!(secret_file(&path), Err(Error::Permissions { .. })), "{mode:o}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert!(matches!(secret_file(&folder.path().join("link")), Err(Error::Link { .. })));
    }
}
