//! Fresh bytes of the operating system that make the noise of one run its own.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::durable::{OwnedError, create_owned, open_owned, read_owned, sync_folder_of};
use crate::fresh_fault::FreshFault;
use crate::{Error, SecretKey};

/// What a file of fresh bytes starts with.
const MAGIC: &[u8; 16] = b"underpin fresh1\n";

/// Thirty-two bytes that the operating system drew, for one run or one server. Secret: with them, and the key where there
/// is one, the noise can be subtracted.
///
/// # Guarantees
///
/// 1. Kept in a file they are drawn once: before they are used they are on the disk, for their owner alone, and whoever
///    asks again, after a kill too, gets the same (`kept_bytes_are_drawn_once`).
/// 2. [`remove`](Self::remove) overwrites them before it takes their name away.
///
/// # Limits
///
/// A medium or file system that writes to another place keeps what was overwritten until it is used anew.
pub struct FreshBytes([u8; 32]);

impl FreshBytes {
    /// New bytes.
    ///
    /// # Errors
    ///
    /// [`Error::NoEntropy`].
    pub fn from_os() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|cause| Error::NoEntropy { cause })?;
        Ok(Self(bytes))
    }

    /// The bytes in the file at `path`; where there is none, new ones, which are kept there.
    ///
    /// # Errors
    ///
    /// [`Error::FreshBytes`] for a file that others may read or write, that is damaged or cannot be written;
    /// [`Error::NoEntropy`].
    pub fn kept(path: &Path) -> Result<Self, Error> {
        if let Some(kept) = Self::read(path)? {
            return Ok(kept);
        }
        // Where another process was faster, its bytes are the ones.
        create_owned(path, &Self::from_os()?.file()).map_err(refused(path))?;
        Self::read(path)?.ok_or_else(|| refused(path)(OwnedError::Io(ErrorKind::NotFound.into())))
    }

    /// Overwrites the bytes in the file at `path`, and removes it; nothing where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::FreshBytes`].
    pub fn remove(path: &Path) -> Result<(), Error> {
        let overwritten = open_owned(path, OpenOptions::new().write(true)).and_then(|mut file| {
            file.write_all(&[0; MAGIC.len() + 64])?;
            Ok(file.sync_all()?)
        });
        match overwritten {
            Err(OwnedError::Io(error)) if error.kind() == ErrorKind::NotFound => return Ok(()),
            overwritten => overwritten.map_err(refused(path))?,
        }
        let removed = fs::remove_file(path).and_then(|()| sync_folder_of(path));
        removed.map_err(|error| refused(path)(error.into()))
    }

    /// `key` with the bytes mixed in: unrelated to the key of any other bytes.
    #[must_use]
    pub fn mixed_into(&self, key: &SecretKey) -> SecretKey {
        key.derive("fresh bytes of a run", &[&self.0])
    }

    fn read(path: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = read_owned(path, 1 << 10).map_err(refused(path))? else { return Ok(None) };
        let fresh = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()).map(|bytes| Self(*bytes));
        let sound = fresh.filter(|fresh| bytes == fresh.file());
        sound.map(Some).ok_or_else(|| Error::FreshBytes { path: path.to_owned(), fault: FreshFault::Damaged })
    }

    /// What a file of them holds: with a digest, so that a damaged file is not taken for another run's.
    fn file(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &self.0, blake3::hash(&self.0).as_bytes()].concat()
    }
}

impl Drop for FreshBytes {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from dropping the write as dead.
        std::hint::black_box(&mut self.0);
    }
}

impl fmt::Debug for FreshBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreshBytes(..)")
    }
}

fn refused(path: &Path) -> impl Fn(OwnedError) -> Error {
    let path = PathBuf::from(path);
    move |error| {
        let fault = match error {
            OwnedError::Io(error) => FreshFault::Io { kind: error.kind(), message: error.to_string() },
            OwnedError::Exposed(exposure) => FreshFault::Exposed(exposure),
        };
        Error::FreshBytes { path: path.clone(), fault }
    }
}

/// Where the noise and the samples of private runs come from.
///
/// # Guarantees
///
/// 1. Two runs from a [`fresh`](Self::fresh) source draw independent noise, whatever they have in common: the same rows,
///    settings, seed and secret included (`runs_from_one_fresh_source_differ`).
/// 2. A run whose fresh bytes are kept in a file goes on with the same noise when it is taken up again
///    (`a_kept_run_goes_on_with_its_noise`).
///
/// # Examples
///
/// ```
/// use underpin_privacy::{NoiseSource, SecretKey};
///
/// let noise = NoiseSource::fresh(SecretKey::from_os()?);
/// let [one, other] = [noise.run_key(None)?, noise.run_key(None)?];
/// assert_ne!(one.fingerprint(), other.fingerprint());
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoiseSource {
    secret: Arc<SecretKey>,
    /// Whether each run mixes bytes of its own into the secret.
    fresh: bool,
}

impl NoiseSource {
    /// Each run mixes fresh bytes of the operating system into `secret`: noise is never used twice. The secret is a second
    /// line of defence, should the system's bytes be predictable.
    pub fn fresh(secret: SecretKey) -> Self {
        Self { secret: Arc::new(secret), fresh: true }
    }

    /// [`fresh`](Self::fresh) with a secret of the operating system.
    ///
    /// # Errors
    ///
    /// [`Error::NoEntropy`].
    pub fn from_os() -> Result<Self, Error> {
        SecretKey::from_os().map(Self::fresh)
    }

    /// The parts of one larger run, whose fresh bytes are mixed into `secret` once and kept by the caller until the run
    /// ends: parts that are repeated when the run is taken up again draw the same noise again.
    ///
    /// # Limits
    ///
    /// Parts that train on the same rows with the same settings and seed are one part: they draw the same noise. Give
    /// parts that differ in anything else, an adversary say, seeds of their own.
    pub fn of_run(secret: &SecretKey, fresh: &FreshBytes) -> Self {
        Self { secret: Arc::new(fresh.mixed_into(secret)), fresh: false }
    }

    /// Noise that is the same in every run with this seed, rows and settings: for tests that compare whole runs.
    ///
    /// Dangerous: two runs that differ in a row, or in what the noise does not depend on, tell that difference, and whoever
    /// knows the seed subtracts the noise. No ε holds for what is trained so.
    pub fn dangerous_from_seed(seed: [u8; 32]) -> Self {
        Self { secret: Arc::new(SecretKey::new(seed)), fresh: false }
    }

    /// The secret key of a run. With a [`fresh`](Self::fresh) source and a path, the run's bytes are kept there
    /// ([`FreshBytes::kept`]) until [`FreshBytes::remove`].
    ///
    /// # Errors
    ///
    /// Those of [`FreshBytes::kept`].
    pub fn run_key(&self, kept: Option<&Path>) -> Result<SecretKey, Error> {
        if !self.fresh {
            return Ok(self.secret.derive("run", &[]));
        }
        let bytes = kept.map_or_else(FreshBytes::from_os, FreshBytes::kept)?;
        Ok(bytes.mixed_into(&self.secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(noise: &NoiseSource, kept: Option<&Path>) -> [u8; 32] {
        noise.run_key(kept).unwrap().fingerprint()
    }

    #[test]
    fn runs_from_one_fresh_source_differ() {
        let noise = NoiseSource::fresh(SecretKey::new([7; 32]));
        assert_ne!(prints(&noise, None), prints(&noise, None));
        assert_ne!(prints(&noise, None), prints(&noise.clone(), None));
        let same = || NoiseSource::dangerous_from_seed([7; 32]);
        assert_eq!(prints(&same(), None), prints(&same(), None));
        assert_ne!(prints(&same(), None), prints(&NoiseSource::dangerous_from_seed([8; 32]), None));
        let (one, other) = (FreshBytes::from_os().unwrap(), FreshBytes::from_os().unwrap());
        let of = |fresh| prints(&NoiseSource::of_run(&SecretKey::new([7; 32]), fresh), None);
        assert_eq!(of(&one), of(&one));
        assert_ne!(of(&one), of(&other));
        assert_eq!(format!("{one:?}"), "FreshBytes(..)");
    }

    #[test]
    fn a_kept_run_goes_on_with_its_noise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.fresh");
        let noise = NoiseSource::fresh(SecretKey::new([7; 32]));
        let first = prints(&noise, Some(&path));
        assert_eq!(prints(&noise, Some(&path)), first);
        assert_ne!(prints(&NoiseSource::fresh(SecretKey::new([8; 32])), Some(&path)), first, "the secret counts too");
        FreshBytes::remove(&path).unwrap();
        FreshBytes::remove(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_ne!(prints(&noise, Some(&path)), first);
    }

    #[test]
    fn kept_bytes_are_drawn_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fresh");
        let drawn: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| FreshBytes::kept(&path).unwrap().0)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(drawn.iter().all(|bytes| *bytes == drawn[0]), "16 at once");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            use crate::durable::Exposure;

            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let refused = FreshBytes::kept(&path).unwrap_err();
            let exposed = FreshFault::Exposed(Exposure::Permissions { mode: 0o640 });
            assert_eq!(refused, Error::FreshBytes { path: path.clone(), fault: exposed });
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(matches!(FreshBytes::kept(&path), Err(Error::FreshBytes { fault: FreshFault::Damaged, .. })));
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(FreshBytes::kept(&path).is_err(), "cut");
    }
}
