//! A budget's file: a redb database of entries, numbered and never changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, StorageBackend, TableDefinition};

use super::BudgetTerms;
use super::entry::ChainHead;
use super::ledger::{Replayed, Store, genesis};
use super::trail::{Chain, Rows};
use crate::Error;

/// Entries by number: their bytes and their hash.
const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("budget_entries");

/// Memory for pages; entries are read once, in order.
const CACHE_BYTES: usize = 8 << 20;

/// An open file, which no other process can open.
#[derive(Clone)]
pub(super) struct BudgetFile {
    path: PathBuf,
    store: Arc<Database>,
}

/// The entries of a file, in order.
pub(super) struct FileRows {
    path: PathBuf,
    range: redb::Range<'static, u64, &'static [u8]>,
}

impl BudgetFile {
    /// Makes a file, which appears under its name when the terms are in it.
    pub(super) fn create(path: &Path, terms: &BudgetTerms) -> Result<Self, Error> {
        let draft = draft(path);
        let made = Self::make(path, &draft, terms);
        // OK to pass over: the file has its own name by now, or was never made.
        let _ = fs::remove_file(&draft);
        let made = made?;
        sync_folder(path)?;
        Ok(made)
    }

    fn make(path: &Path, draft: &Path, terms: &BudgetTerms) -> Result<Self, Error> {
        let file = private(OpenOptions::new().read(true).write(true).create_new(true)).open(draft);
        let this = Self::over(path, FileBackend::new(file.map_err(unusable(path))?).map_err(refused(path))?)?;
        this.clone().append(0, &[genesis(terms)])?;
        // Unlike a renaming, this replaces nothing.
        fs::hard_link(draft, path).map_err(unusable(path))?;
        Ok(this)
    }

    /// Opens a file that is there.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(unusable(path))?;
        let metadata = file.metadata().map_err(unusable(path))?;
        check_private(path, &metadata)?;
        if metadata.len() == 0 {
            return Err(Error::BudgetDamaged { path: path.to_owned(), reason: "it is empty".into() });
        }
        Self::over(path, FileBackend::new(file).map_err(refused(path))?)
    }

    /// Checks every page on opening: redb may panic on a file that was changed behind its back, or trust it.
    pub(super) fn over(path: &Path, backend: impl StorageBackend) -> Result<Self, Error> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let store = builder.create_with_backend(backend).map_err(refused(path))?;
        Ok(Self { path: path.to_owned(), store: Arc::new(store) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All entries that are in the file now.
    pub(super) fn chain(&self) -> Result<Chain, Error> {
        let read = || -> Result<_, redb::Error> { Ok(self.store.begin_read()?.open_table(ENTRIES)?.range::<u64>(..)?) };
        let range = read().map_err(failed(&self.path))?;
        Ok(Chain::new(self.path.clone(), Rows::File(Box::new(FileRows { path: self.path.clone(), range }))))
    }

    /// Reads the whole record and compares it with what the caller knows of it.
    pub(super) fn replay(&self, terms: &BudgetTerms, known: Option<&ChainHead>) -> Result<Replayed, Error> {
        let damaged = |sequence: u64, reason: &str| Error::BudgetDamaged {
            path: self.path.clone(),
            reason: format!("entry {sequence}: {reason}"),
        };
        let rolled_back = |found: &ChainHead| {
            Err(Error::BudgetRolledBack {
                path: self.path.clone(),
                known: known.map(ToString::to_string).unwrap_or_default(),
                found: found.to_string(),
            })
        };
        let mut replayed: Option<Replayed> = None;
        for row in self.chain()? {
            let (head, row) = row?;
            if known.is_some_and(|known| known.sequence == head.sequence && known.hash != head.hash) {
                return rolled_back(&head);
            }
            let checked = match &mut replayed {
                None => Replayed::begin(head, row).map(|first| replayed = Some(first)),
                Some(replayed) => replayed.follow(head, &row),
            };
            checked.map_err(|reason| damaged(head.sequence, reason))?;
        }
        let replayed = replayed.ok_or_else(|| damaged(0, "it is missing"))?;
        if known.is_some_and(|known| known.sequence > replayed.standing.head.sequence) {
            return rolled_back(&replayed.standing.head);
        }
        same(&self.path, &replayed.terms, terms)?;
        Ok(replayed)
    }
}

impl Store for BudgetFile {
    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), Error> {
        let write = || -> Result<bool, redb::Error> {
            let mut transaction = self.store.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            let mut table = transaction.open_table(ENTRIES)?;
            for (sequence, entry) in (first..).zip(entries) {
                if table.insert(sequence, entry.as_slice())?.is_some() {
                    return Ok(false);
                }
            }
            drop(table);
            transaction.commit()?;
            Ok(true)
        };
        match write() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let reason = format!("an entry from {first} on is there already");
                Err(Error::BudgetDamaged { path: self.path.clone(), reason })
            }
            Err(source) => Err(failed(&self.path)(source)),
        }
    }
}

impl FileRows {
    pub(super) fn next(&mut self) -> Option<Result<(u64, Vec<u8>), Error>> {
        let row = self.range.next()?;
        Some(
            row.map(|(sequence, bytes)| (sequence.value(), bytes.value().to_owned()))
                .map_err(|source| failed(&self.path)(source.into())),
        )
    }
}

/// Refuses terms other than those in the file.
fn same(path: &Path, stored: &BudgetTerms, given: &BudgetTerms) -> Result<(), Error> {
    let show = |delta: Option<underpin_core::Delta>| delta.map_or("nothing".into(), |delta| delta.to_string());
    let terms = [
        ("epsilon", stored.epsilon.to_string(), given.epsilon.to_string()),
        ("delta", stored.delta.to_string(), given.delta.to_string()),
        ("set_aside", show(stored.set_aside), show(given.set_aside)),
        ("order", format!("{:?}", stored.order), format!("{:?}", given.order.or(stored.order))),
        ("adjacency", format!("{:?}", stored.adjacency), format!("{:?}", given.adjacency)),
        ("unit", format!("{:?}", stored.unit), format!("{:?}", given.unit)),
    ];
    match terms.into_iter().find(|(_, stored, given)| stored != given) {
        None => Ok(()),
        Some((name, stored, given)) => Err(Error::OtherTerms { path: path.to_owned(), name, stored, given }),
    }
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::BudgetFile { path: path.to_owned(), reason: source.to_string() }
}

fn failed(path: &Path) -> impl Fn(redb::Error) -> Error {
    move |source| match source {
        redb::Error::DatabaseAlreadyOpen => Error::BudgetInUse { path: path.to_owned() },
        redb::Error::Io(source)
            if source.kind() != ErrorKind::InvalidData && source.kind() != ErrorKind::UnexpectedEof =>
        {
            unusable(path)(source)
        }
        other => Error::BudgetDamaged { path: path.to_owned(), reason: other.to_string() },
    }
}

fn refused(path: &Path) -> impl Fn(DatabaseError) -> Error {
    move |source| failed(path)(source.into())
}

/// Makes new files their owner's alone.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Refuses a file that others may read or write.
fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            let reason = format!("its mode is {mode:o}: others may read or write it; allowed: 600");
            return Err(Error::BudgetFile { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

/// Makes sure that the folder that holds `path` remembers it through a power loss.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable(path))
}

/// A name beside `path` that no other writer uses.
fn draft(path: &Path) -> PathBuf {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}.draft", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
    name.into()
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
