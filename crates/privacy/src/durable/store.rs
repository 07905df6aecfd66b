//! A redb database in one file: its owner's alone, one process at a time, every commit synchronised.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};
use underpin_core::ErrorOrigin;

use super::owned::{Exposure, OwnedError, draft_beside, open_owned, sync_folder_of, warn_of_folder};

/// Memory for pages; what is kept here is small or read once, in order.
const CACHE_BYTES: usize = 8 << 20;

/// A redb database in a file of its owner's alone: open in one process at a time, each commit synchronised before it
/// returns.
///
/// A clone shares the open database. Put a [`GroupCommit`](super::GroupCommit) before it where threads write.
///
/// # Guarantees
///
/// 1. What [`write`](Self::write) has committed is in the file after a kill; after a power loss, as far as the disk keeps
///    what it said it had written.
/// 2. Every page is checked when the file is opened: bytes that were changed or cut are an error, or never mattered; not
///    a panic (`changed_bytes_refill_nothing`).
/// 3. [`create`](Self::create) replaces nothing, and its file appears whole or not at all.
/// 4. A file that others may read or write, of another user, or behind a symbolic link is refused before it is locked or
///    read, whoever runs the program ([`open_owned`](super::open_owned); `a_file_of_others_is_refused`). A folder in which
///    others may exchange files is warned of.
///
/// # Examples
///
/// ```
/// use redb::{ReadableTable, TableDefinition};
/// use underpin_privacy::durable::DurableStore;
///
/// const USED: TableDefinition<'static, &str, u64> = TableDefinition::new("used");
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("counters.redb");
/// let store = DurableStore::open_or_create(&path)?;
/// let total = store.write(|transaction| {
///     let mut table = transaction.open_table(USED)?;
///     let total = table.get("alice")?.map_or(0, |used| used.value()) + 3;
///     table.insert("alice", total)?;
///     Ok(Some(total)) // None would commit nothing
/// })?;
/// assert_eq!(total, Some(3));
/// assert!(DurableStore::open(&path).is_err(), "in use");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DurableStore {
    path: PathBuf,
    database: Arc<Database>,
}

/// Errors of a [`DurableStore`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be made, read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not its owner's alone.
    #[error("{}: {exposure}", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// In which way.
        exposure: Exposure,
    },
    /// The file is open already, here or in another process.
    #[error("{} is open already; one writer at a time is allowed", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{} is empty", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no database, or one that is damaged.
    #[error("{}: {source}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What redb said.
        source: Box<redb::Error>,
    },
}

impl StoreError {
    /// Whose fault it is: the caller's, the input's or the system's.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::Io { source, .. } if source.kind() == ErrorKind::NotFound => ErrorOrigin::Caller,
            Self::Io { .. } => ErrorOrigin::System,
            Self::Exposed { .. } | Self::InUse { .. } => ErrorOrigin::Caller,
            Self::Empty { .. } | Self::Database { .. } => ErrorOrigin::Input,
        }
    }
}

impl DurableStore {
    /// Makes a new file, which appears under its name when what `first` writes is in it. A process killed on the way may
    /// leave a file `PATH.*.draft` behind, of no use.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when there is a file already, or none can be made.
    pub fn create(
        path: &Path,
        first: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, StoreError> {
        let draft = draft_beside(path);
        let made = Self::make(path, &draft, first);
        // OK to pass over: the file has its own name by now, or was never made.
        let _ = fs::remove_file(&draft);
        let made = made?;
        sync_folder_of(path).map_err(unusable(path))?;
        Ok(made)
    }

    fn make(
        path: &Path,
        draft: &Path,
        first: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, StoreError> {
        let file =
            open_owned(draft, OpenOptions::new().read(true).write(true).create_new(true)).map_err(refused(path))?;
        warn_of_folder(path);
        let this = Self::over_file(path, file)?;
        this.write(|transaction| first(transaction).map(Some))?;
        // Unlike a renaming, this replaces nothing.
        fs::hard_link(draft, path).map_err(unusable(path))?;
        Ok(this)
    }

    /// Opens a file that is there, and checks all of its pages. A missing file is never made anew.
    ///
    /// # Errors
    ///
    /// Each of [`StoreError`]'s variants.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = open_owned(path, OpenOptions::new().read(true).write(true)).map_err(refused(path))?;
        warn_of_folder(path);
        if file.metadata().map_err(unusable(path))?.len() == 0 {
            return Err(StoreError::Empty { path: path.to_owned() });
        }
        Self::over_file(path, file)
    }

    /// Opens a file, or makes an empty one for its owner alone.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), but for [`StoreError::Empty`].
    pub fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = open_owned(path, &mut options).map_err(refused(path))?;
        warn_of_folder(path);
        // Without it, a power loss could take a new file away.
        sync_folder_of(path).map_err(unusable(path))?;
        Self::over_file(path, file)
    }

    fn over_file(path: &Path, file: File) -> Result<Self, StoreError> {
        Self::over(path, FileBackend::new(file).map_err(|source| failed(path)(source.into()))?)
    }

    /// Opens a database over another backend than a file; `path` is its name in errors.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::InUse`] and [`StoreError::Database`].
    pub fn over(path: &Path, backend: impl StorageBackend) -> Result<Self, StoreError> {
        let mut builder = Database::builder();
        // redb may panic on a file that was changed behind its back, or trust it: every page is checked first.
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create_with_backend(backend).map_err(|source| failed(path)(source.into()))?;
        Ok(Self { path: path.to_owned(), database: Arc::new(database) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a transaction; commits and synchronises what it wrote, or nothing where it returns None.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Database`]: then what was written is not known.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<Option<T>, redb::Error>,
    ) -> Result<Option<T>, StoreError> {
        let write = || -> Result<Option<T>, redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            let done = work(&transaction)?;
            if done.is_some() {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(done)
        };
        write().map_err(failed(&self.path))
    }

    /// Runs `work` on a snapshot of what is committed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Database`].
    pub fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let read = || work(&self.database.begin_read()?);
        read().map_err(failed(&self.path))
    }

    /// An error that redb gave while what [`read`](Self::read) handed out was used.
    pub fn error(&self, source: redb::Error) -> StoreError {
        failed(&self.path)(source)
    }
}

impl std::fmt::Debug for DurableStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DurableStore").field("path", &self.path).finish_non_exhaustive()
    }
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { path: path.to_owned(), source }
}

fn refused(path: &Path) -> impl Fn(OwnedError) -> StoreError {
    move |error| match error {
        OwnedError::Io(source) => unusable(path)(source),
        OwnedError::Exposed(exposure) => StoreError::Exposed { path: path.to_owned(), exposure },
    }
}

fn failed(path: &Path) -> impl Fn(redb::Error) -> StoreError {
    move |source| match source {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        redb::Error::Io(source)
            if source.kind() != ErrorKind::InvalidData && source.kind() != ErrorKind::UnexpectedEof =>
        {
            unusable(path)(source)
        }
        source => StoreError::Database { path: path.to_owned(), source: Box::new(source) },
    }
}
