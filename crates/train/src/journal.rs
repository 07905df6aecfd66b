//! Which steps of a run were about to be released, on disk before they are.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use underpin_privacy::RunMark;
use underpin_privacy::durable::{open_owned, sync_folder_of};

use crate::checkpoint::owned;
use crate::{CheckpointFault, Error};

/// Bytes of one entry: the step, and the seal of its sum.
const ENTRY: usize = 40;

/// The steps begun, in order from 1, each with the seal of the sum that its noise was for.
///
/// An entry is on the disk before the step's noise is added. After a crash the same step is worked out again: on the
/// same sum it is the same release, and costs nothing more; on another sum it is refused.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    seals: Vec<[u8; 32]>,
    /// Over all seals.
    hasher: blake3::Hasher,
}

impl Journal {
    /// Opens or creates the journal beside a checkpoint; no other process has it open.
    pub(crate) fn open(checkpoint: &Path) -> Result<Self, Error> {
        let mut path = checkpoint.as_os_str().to_owned();
        path.push(".steps");
        let path = PathBuf::from(path);
        let refused = |fault| Error::Checkpoint { path: path.clone(), fault };
        let io = |error| refused(CheckpointFault::Io(error));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // Before the lock: a file that others may open they may lock.
        let mut file = open_owned(&path, &mut options).map_err(owned(&path))?;
        file.try_lock().map_err(|error| refused(CheckpointFault::InUse(error)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let mut seals = Vec::new();
        let (entries, torn) = bytes.as_chunks::<ENTRY>();
        for (at, entry) in entries.iter().enumerate() {
            let (step, seal) = entry.split_first_chunk::<8>().expect("invariant: 40 bytes hold 8");
            if u64::from_le_bytes(*step) != at as u64 + 1 {
                // The last entry may be torn: its step's noise was never drawn.
                if at + 1 == entries.len() && torn.is_empty() {
                    break;
                }
                return Err(refused(CheckpointFault::OtherStep { entry: at + 1 }));
            }
            seals.push(seal.try_into().expect("invariant: 40 bytes less 8"));
        }
        let whole = (seals.len() * ENTRY) as u64;
        let cut = file.set_len(whole).and_then(|()| file.seek(SeekFrom::Start(whole)));
        cut.and_then(|_| file.sync_all()).map_err(io)?;
        sync_folder_of(&path).map_err(io)?;
        let hasher = digested(&seals);
        Ok(Self { path, file, seals, hasher })
    }

    /// Digest of the seals of all steps begun.
    pub(crate) fn digest(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// Refuses a journal that is not the one of a mark, so far or further.
    pub(crate) fn check(&self, mark: Option<&RunMark>) -> Result<(), Error> {
        let Some(mark) = mark else { return Ok(()) };
        let steps = usize::try_from(mark.steps).ok();
        let found = steps.and_then(|steps| self.seals.get(..steps)).map(|seals| digested(seals).finalize());
        if found.is_some_and(|found| *found.as_bytes() == mark.digest) {
            return Ok(());
        }
        let fault = CheckpointFault::OtherList { begun: self.begun(), known: mark.steps };
        Err(Error::Checkpoint { path: self.path.clone(), fault })
    }

    /// Number of steps begun.
    pub(crate) fn begun(&self) -> u64 {
        self.seals.len() as u64
    }

    /// Writes down that `step`, from 1, is about to be released on the sum with this seal.
    ///
    /// [`Error::Replay`] when it was released on another sum; the sums of steps must be the same in every process.
    pub(crate) fn begin(&mut self, step: u64, seal: [u8; 32]) -> Result<(), Error> {
        let at = usize::try_from(step - 1).unwrap_or(usize::MAX);
        match self.seals.get(at) {
            Some(known) if *known == seal => return Ok(()),
            None if at == self.seals.len() => {}
            _ => return Err(Error::Replay { step }),
        }
        let entry = [step.to_le_bytes().as_slice(), &seal].concat();
        let written = self.file.write_all(&entry).and_then(|()| self.file.sync_data());
        written.map_err(|error| Error::Checkpoint { path: self.path.clone(), fault: CheckpointFault::Io(error) })?;
        self.seals.push(seal);
        self.hasher.update(&seal);
        Ok(())
    }
}

fn digested(seals: &[[u8; 32]]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_derive_key("underpin-train 2026 list of steps");
    hasher.update(seals.as_flattened());
    hasher
}

/// A process that another thread is just starting holds a copy of the file; closing ours alone would keep the lock.
impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_begun_once_and_on_one_sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let mut journal = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(Error::Checkpoint { .. })), "one process at a time");
        journal.begin(1, [1; 32]).unwrap();
        journal.begin(2, [2; 32]).unwrap();
        assert!(matches!(journal.begin(4, [4; 32]), Err(Error::Replay { step: 4 })));
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.begun(), 2);
        journal.begin(1, [1; 32]).unwrap();
        assert!(matches!(journal.begin(2, [3; 32]), Err(Error::Replay { step: 2 })));
        journal.begin(3, [3; 32]).unwrap();
        assert_eq!(journal.begun(), 3);
    }

    #[test]
    fn a_journal_is_free_once_dropped_whoever_inherited_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let journal = Journal::open(&path).unwrap();
        // What a fork does.
        let inherited = journal.file.try_clone().unwrap();
        drop(journal);
        Journal::open(&path).unwrap();
        drop(inherited);
    }

    #[test]
    fn a_torn_entry_was_never_begun() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = (folder.path().join("run"), folder.path().join("run.steps"));
        Journal::open(&path).unwrap().begin(1, [1; 32]).unwrap();
        let whole = std::fs::read(&file).unwrap();
        for tail in [&[2][..], &[2; 39], &[0; ENTRY]] {
            std::fs::write(&file, [&whole, tail].concat()).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.begun(), 1);
            journal.begin(2, [9; 32]).unwrap();
            assert_eq!(std::fs::read(&file).unwrap().len(), 2 * ENTRY);
        }
        std::fs::write(&file, [&[7; ENTRY], whole.as_slice()].concat()).unwrap();
        assert!(matches!(Journal::open(&path), Err(Error::Checkpoint { .. })));
    }
}
