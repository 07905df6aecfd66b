//! The store under the query ledger: opened again once it failed, so that a disk that was full for a moment heals.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{PoisonError, RwLock};

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use underpin_privacy::durable::{DurableStore, StoreError};

use crate::Error;

/// Queries used, by client.
pub(crate) const USED: TableDefinition<'static, &str, u64> = TableDefinition::new("queries_used");
/// What the ledger is, in words.
const ABOUT: TableDefinition<'static, &str, &str> = TableDefinition::new("ledger");
/// Sums over all clients, and how often the store was checked.
const SUMS: TableDefinition<'static, &str, u64> = TableDefinition::new("sums");

/// Opens the store, at first and after a fault.
type Open = dyn Fn() -> Result<DurableStore, StoreError> + Send + Sync;

/// A store that is opened anew after a write that failed: redb refuses every use of a database once it met a fault, even
/// when the disk has room again.
pub(crate) struct LedgerStore {
    path: PathBuf,
    open: Box<Open>,
    /// None from a fault on, until it could be opened again.
    store: RwLock<Option<DurableStore>>,
    identity: String,
    /// Queries of all clients that were acknowledged.
    counted: AtomicU64,
}

impl LedgerStore {
    /// Opens the ledger at `path`, or makes one.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let opened = path.to_owned();
        Self::over(path, move || DurableStore::open_or_create(&opened))
    }

    /// Over whatever `open` gives; `path` is its name in errors.
    pub(crate) fn over(
        path: &Path,
        open: impl Fn() -> Result<DurableStore, StoreError> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let store = open()?;
        let fresh = random_name()?;
        let (identity, counted) = store
            .write(|transaction| {
                transaction.open_table(USED)?;
                let mut about = transaction.open_table(ABOUT)?;
                let known = about.get("identity")?.map(|found| found.value().to_owned());
                let identity = known.unwrap_or(fresh);
                about.insert("identity", identity.as_str())?;
                let mut sums = transaction.open_table(SUMS)?;
                let counted = match sums.get("counted")?.map(|counted| counted.value()) {
                    Some(counted) => counted,
                    None => sum(transaction)?,
                };
                sums.insert("counted", counted)?;
                Ok(Some((identity, counted)))
            })?
            .unwrap_or_default();
        let (store, counted) = (RwLock::new(Some(store)), AtomicU64::new(counted));
        Ok(Self { path: path.to_owned(), open: Box::new(open), store, identity, counted })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A name that no other ledger has.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Queries of all clients that were acknowledged.
    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(SeqCst)
    }

    /// Binds the ledger to `run`; a ledger of another run keeps to that one, whose name is returned.
    pub(crate) fn bind(&self, run: &str) -> Result<String, Error> {
        let bound = self.write(|transaction| {
            let mut about = transaction.open_table(ABOUT)?;
            let bound = about.get("run")?.map(|found| found.value().to_owned());
            let bound = bound.unwrap_or_else(|| run.to_owned());
            about.insert("run", bound.as_str())?;
            Ok(Some((bound, 0)))
        })?;
        Ok(bound.unwrap_or_default())
    }

    /// Makes a durable write that counts nothing: whether the ledger could count a query now.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let checked = self.write(|transaction| {
            let mut sums = transaction.open_table(SUMS)?;
            let checks = sums.get("checks")?.map_or(0, |checks| checks.value());
            sums.insert("checks", checks.wrapping_add(1))?;
            Ok(Some(((), 0)))
        });
        checked.map(drop)
    }

    /// Runs `work` in a transaction and counts as many queries more as it returns beside its result; nothing is written
    /// where it returns None.
    ///
    /// A store that failed before is opened again first. After an error what was written is not known.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<Option<(T, u64)>, redb::Error>,
    ) -> Result<Option<T>, Error> {
        self.heal()?;
        let written = {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            let Some(store) = store.as_ref() else { return Err(self.closed()) };
            store.write(|transaction| {
                let done = work(transaction)?;
                if let Some((_, queries @ 1..)) = done {
                    let mut sums = transaction.open_table(SUMS)?;
                    let counted = sums.get("counted")?.map_or(0, |counted| counted.value());
                    sums.insert("counted", counted.saturating_add(queries))?;
                }
                Ok(done)
            })
        };
        match written {
            Ok(done) => Ok(done.map(|(done, queries)| {
                self.counted.fetch_add(queries, SeqCst);
                done
            })),
            Err(error) => {
                *self.store.write().unwrap_or_else(PoisonError::into_inner) = None;
                Err(error.into())
            }
        }
    }

    /// Runs `work` on what is committed.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, Error> {
        self.heal()?;
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let Some(store) = store.as_ref() else { return Err(self.closed()) };
        Ok(store.read(work)?)
    }

    /// Opens the store again where it failed, and checks that it is what it was.
    fn heal(&self) -> Result<(), Error> {
        if self.store.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut closed = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if closed.is_some() {
            return Ok(());
        }
        let store = (self.open)()?;
        let (identity, counted) = store.read(|transaction| {
            let about = transaction.open_table(ABOUT)?;
            let identity = about.get("identity")?.map(|found| found.value().to_owned());
            let counted = transaction.open_table(SUMS)?.get("counted")?.map_or(0, |counted| counted.value());
            Ok((identity.unwrap_or_default(), counted))
        })?;
        if identity != self.identity {
            return Err(Error::OtherLedger {
                path: self.path.clone(),
                found: identity,
                expected: self.identity.clone(),
            });
        }
        if counted < self.counted() {
            return Err(Error::LedgerWentBack { path: self.path.clone(), found: counted, known: self.counted() });
        }
        tracing::warn!(path = %self.path.display(), "the query ledger was opened again after a fault");
        *closed = Some(store);
        Ok(())
    }

    /// Another thread met a fault just now.
    fn closed(&self) -> Error {
        Error::file(&self.path)(std::io::Error::other("the ledger met a fault"))
    }
}

impl fmt::Debug for LedgerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Queries of all clients, added up.
fn sum(transaction: &WriteTransaction) -> Result<u64, redb::Error> {
    let table = transaction.open_table(USED)?;
    let mut sum = 0_u64;
    for entry in table.iter()? {
        sum = sum.saturating_add(entry?.1.value());
    }
    Ok(sum)
}

fn random_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|source| Error::Entropy { source })?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
