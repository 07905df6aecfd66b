//! The server's own secret, in a file of its owner's.

use std::path::Path;

use underpin_privacy::{FreshBytes, SecretKey};

use crate::Error;

/// The secret in the file at `path`; where there is none, one is made of the operating system's randomness, for its owner
/// alone. No other key, and nothing that is public, says anything of it.
///
/// # Errors
///
/// [`Error::Secret`] when the file holds no secret, is not its owner's alone, or none can be made.
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
    // The bytes alone are the secret: there is no other key for them to be mixed into.
    Ok(FreshBytes::kept(path)?.mixed_into(&SecretKey::new([0; 32])))
}

#[cfg(test)]
mod tests {
    use underpin_core::ErrorOrigin;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_differs_from_every_other() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.key"), folder.path().join("b.key"));
        let made = secret_file(&a).unwrap().fingerprint();
        assert_eq!(secret_file(&a).unwrap().fingerprint(), made);
        assert_ne!(secret_file(&b).unwrap().fingerprint(), made);
        assert_eq!(folder.path().read_dir().unwrap().count(), 2, "no draft is left behind");
        for length in [0, 31, 32, 33] {
            crate::file::replace(&a, &vec![1; length]).unwrap();
            let refused = secret_file(&a).unwrap_err();
            assert!(
                matches!(refused, Error::Secret(_)) && refused.origin() == ErrorOrigin::Input,
                "{length}: {refused}"
            );
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
            let refused = secret_file(&path).unwrap_err();
            assert!(refused.to_string().contains(&format!("{mode:o}")), "{refused}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert!(secret_file(&folder.path().join("link")).unwrap_err().to_string().contains("symbolic link"));
    }
}
