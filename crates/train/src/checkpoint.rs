//! A run on disk: written whole or not at all.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use underpin_privacy::FreshBytes;
use underpin_privacy::durable::{OwnedError, folder_exposure, open_owned, owned_folder, read_owned, sync_folder_of};

use crate::batches::Reached;
use crate::{CheckpointFault, Damage, Error};

/// What the file starts with.
const MAGIC: &[u8; 16] = b"underpin run 01\n";

/// Where a run is kept, and how often.
///
/// Three files, each its owner's alone (mode 600): one that others may read or write, that belongs to another user or
/// lies behind a symbolic link is refused, whoever runs the program. All of them are secret:
///
/// - `PATH` holds what only the released weights may tell, and, under correlated noise, sums without noise;
/// - `PATH.steps` lists the steps begun; it is locked while a process trains into it;
/// - `PATH.fresh`, of private training by [`Sgd`](crate::Sgd), holds the run's fresh bytes: with them and the secret of the
///   run's [`NoiseSource`](underpin_privacy::NoiseSource) the noise can be subtracted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// The file.
    pub path: PathBuf,
    /// Steps from one writing to the next; at least 1.
    pub every: u64,
}

impl Checkpoints {
    /// Removes what is kept, when the run has ended and its model is where it belongs; the fresh bytes first, overwritten.
    /// What is not there is passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] and [`underpin_privacy::Error::FreshBytes`].
    pub fn remove(&self) -> Result<(), Error> {
        FreshBytes::remove(&self.fresh())?;
        for end in ["", ".new", ".steps"] {
            let path = self.beside(end);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Checkpoint { path, fault: CheckpointFault::Io(error) });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The file of the run's fresh bytes.
    pub(crate) fn fresh(&self) -> PathBuf {
        self.beside(".fresh")
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(end);
        path.into()
    }

    /// Makes the folder for its owner alone if it is absent, and warns of one that others may enter.
    pub(crate) fn make_folder(&self) -> Result<(), Error> {
        let refused = |error| Error::Checkpoint { path: self.path.clone(), fault: CheckpointFault::Io(error) };
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            owned_folder(folder).map_err(|error| owned(&self.path)(error))?;
        }
        if let Some(exposure) = folder_exposure(&self.path).map_err(refused)? {
            let checkpoint = self.path.display();
            tracing::warn!(%checkpoint, %exposure, "the folder of this checkpoint is open to others");
        }
        Ok(())
    }
}

/// The error of a file that is to be its owner's alone.
pub(crate) fn owned(path: &Path) -> impl Fn(OwnedError) -> Error {
    move |error| {
        let fault = match error {
            OwnedError::Exposed(exposure) => CheckpointFault::Exposed(exposure),
            OwnedError::Io(error) => CheckpointFault::Io(error),
            error => CheckpointFault::Io(std::io::Error::other(error)),
        };
        Error::Checkpoint { path: path.into(), fault }
    }
}

/// Everything but long vectors.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointHeader {
    /// Settings and mechanism, as text: those of the run that takes it up must be the same.
    pub(crate) card: String,
    pub(crate) reached: Reached,
    pub(crate) threshold: f64,
    pub(crate) scores: Vec<f64>,
    pub(crate) averaged_steps: u64,
    /// Identities by which the optimiser knows the parameters.
    pub(crate) ids: Vec<u64>,
    /// The head of the budget that paid, as text; none where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<String>,
    /// What the caller keeps beside it.
    pub(crate) note: String,
    pub(crate) weights: usize,
    pub(crate) average: usize,
}

/// A run's whole state.
#[derive(Debug, PartialEq)]
pub(crate) struct Saved {
    pub(crate) head: CheckpointHeader,
    pub(crate) weights: Vec<f32>,
    pub(crate) average: Vec<f64>,
    /// burn's own format.
    pub(crate) optimiser: Vec<u8>,
}

impl Saved {
    /// Writes the file: a new one beside it, made durable, then renamed over it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let refused = |fault| Error::Checkpoint { path: path.into(), fault };
        let head =
            serde_json::to_vec(&self.head).map_err(|error| refused(CheckpointFault::Damaged(Damage::Header(error))))?;
        let mut bytes = [MAGIC.as_slice(), &(head.len() as u64).to_le_bytes(), &head].concat();
        bytes.extend(self.weights.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(self.average.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(&self.optimiser);
        bytes.extend(blake3::hash(&bytes).as_bytes());
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mut file = open_owned(&beside, &mut options).map_err(owned(&beside))?;
        let written = file.write_all(&bytes).and_then(|()| {
            file.sync_all()?;
            std::fs::rename(&beside, path)?;
            sync_folder_of(path)
        });
        written.map_err(|error| refused(CheckpointFault::Io(error)))
    }

    /// Reads the file; none if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let refused = |fault| Error::Checkpoint { path: path.into(), fault };
        let Some(bytes) = read_owned(path, u64::MAX).map_err(owned(path))? else { return Ok(None) };
        Self::parse(&bytes).map(Some).map_err(|damage| refused(CheckpointFault::Damaged(damage)))
    }

    fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let cut = |part| Damage::Cut { part };
        let (body, digest) = bytes.split_last_chunk::<32>().ok_or(Damage::TooShort)?;
        if blake3::hash(body).as_bytes() != digest {
            return Err(Damage::Digest);
        }
        let rest = body.strip_prefix(MAGIC).ok_or(Damage::Version)?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or(cut("header"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut("header"))?;
        let (head, rest) = rest.split_at_checked(length).ok_or(cut("header"))?;
        let head: CheckpointHeader = serde_json::from_slice(head).map_err(Damage::Header)?;
        let size = |count: usize, width: usize| count.checked_mul(width).ok_or(cut("vectors"));
        let (weights, rest) = rest.split_at_checked(size(head.weights, 4)?).ok_or(cut("weights"))?;
        let (average, rest) = rest.split_at_checked(size(head.average, 8)?).ok_or(cut("average"))?;
        let weights = weights.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        let average = average.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value)).collect();
        Ok(Self { head, weights, average, optimiser: rest.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn saved() -> Saved {
        let head = CheckpointHeader {
            card: "card".into(),
            reached: Reached::Shuffled(3),
            threshold: 0.1,
            scores: vec![0.5],
            averaged_steps: 2,
            ids: vec![7],
            budget: Some("0:00".into()),
            note: "note".into(),
            weights: 2,
            average: 1,
        };
        Saved { head, weights: vec![1.5, -0.0], average: vec![1e-300], optimiser: vec![1, 2, 3] }
    }

    #[test]
    fn a_run_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        assert_eq!(Saved::read(&path).unwrap(), None);
        saved().write(&path).unwrap();
        saved().write(&path).unwrap();
        assert_eq!(Saved::read(&path).unwrap().unwrap(), saved());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600, "its owner's alone");
        }
        assert!(saved().write(&folder.path().join("none/run")).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_refused(at in 0_usize..200, flip in 1_u8..=255) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run");
            saved().write(&path).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            std::fs::write(&path, &bytes).unwrap();
            prop_assert!(Saved::read(&path).is_err(), "flipped");
            std::fs::write(&path, &bytes[..at]).unwrap();
            prop_assert!(Saved::read(&path).is_err(), "cut");
        }
    }
}
