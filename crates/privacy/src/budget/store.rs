//! Where a budget's sealed entries are kept: in memory, or wherever an [`EntryStore`] puts them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::chain::Stored;
use crate::Error;

/// Keeps sealed entries for good.
pub(super) trait EntryStore: Send {
    /// Adds entries numbered from `first` on; all are kept, or none, when it returns.
    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), Error>;
}

/// Entries of a budget in memory. A clone shares them.
#[derive(Clone, Default)]
pub(super) struct MemoryStore(Arc<Mutex<Vec<Vec<u8>>>>);

impl MemoryStore {
    /// Its name in errors.
    pub(super) fn path() -> PathBuf {
        "memory".into()
    }

    /// All entries so far.
    pub(super) fn stored(&self) -> Stored {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::new((0..).zip(entries).map(Ok))
    }
}

impl EntryStore for MemoryStore {
    fn append(&mut self, _first: u64, entries: &[Vec<u8>]) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(entries);
        Ok(())
    }
}
