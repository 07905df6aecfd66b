//! A budget's file: a redb database of sealed entries, numbered and never changed.

use std::path::Path;

use redb::{StorageBackend, TableDefinition, WriteTransaction};

use super::chain::Stored;
use super::fault::{FileFault, RecordFault};
use super::store::EntryStore;
use crate::Error;
use crate::durable::{DurableStore, StoreError};

/// Entries by number: their bytes and their hash.
pub(super) const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("budget_entries");

/// An open file, which no other process can open. A clone shares it.
#[derive(Clone)]
pub(super) struct BudgetFile(DurableStore);

impl BudgetFile {
    /// Makes a file, which appears under its name when the first entry is in it.
    pub(super) fn create(path: &Path, first: &[u8]) -> Result<Self, Error> {
        let write = |transaction: &WriteTransaction| {
            transaction.open_table(ENTRIES)?.insert(0, first)?;
            Ok(())
        };
        DurableStore::create(path, write).map(Self).map_err(failed)
    }

    /// Opens a file that is there.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        DurableStore::open(path).map(Self).map_err(failed)
    }

    /// A file over another backend.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests make the disk fail"))]
    pub(super) fn over(path: &Path, backend: impl StorageBackend) -> Result<Self, Error> {
        DurableStore::over(path, backend).map(Self).map_err(failed)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// All entries that are in the file now.
    pub(super) fn stored(&self) -> Result<Stored, Error> {
        let range = self.0.read(|read| Ok(read.open_table(ENTRIES)?.range::<u64>(..)?)).map_err(failed)?;
        let file = self.clone();
        Ok(Box::new(range.map(move |row| {
            row.map(|(sequence, bytes)| (sequence.value(), bytes.value().to_owned()))
                .map_err(|source| failed(file.0.error(source.into())))
        })))
    }
}

impl EntryStore for BudgetFile {
    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), Error> {
        let written = self.0.write(|transaction| {
            let mut table = transaction.open_table(ENTRIES)?;
            for (sequence, entry) in (first..).zip(entries) {
                if table.insert(sequence, entry.as_slice())?.is_some() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        });
        let occupied = || Error::BudgetDamaged { path: self.path().to_owned(), fault: RecordFault::Occupied { first } };
        written.map_err(failed)?.ok_or_else(occupied)
    }
}

/// A store's error as a budget's.
fn failed(error: StoreError) -> Error {
    match error {
        StoreError::Io { path, source } => {
            Error::BudgetFile { path, fault: FileFault::Io { kind: source.kind(), message: source.to_string() } }
        }
        StoreError::Exposed { path, exposure } => Error::BudgetFile { path, fault: FileFault::Exposed(exposure) },
        StoreError::InUse { path } => Error::BudgetInUse { path },
        StoreError::Empty { path } => Error::BudgetDamaged { path, fault: RecordFault::Empty },
        StoreError::Database { path, source } => {
            Error::BudgetDamaged { path, fault: RecordFault::Database { message: source.to_string() } }
        }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
