//! The budget that survives a crash.

use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use redb::backends::FileBackend;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition};
use underpin_core::Denied;

use crate::{Error, Quota, file};

/// Queries used, by client.
const USED: TableDefinition<'static, &str, u64> = TableDefinition::new("queries_used");

/// Most debits that one commit carries.
const BATCH: usize = 512;

/// Memory for pages; the table is small.
const CACHE_BYTES: usize = 16 << 20;

/// Counts each client's queries on disk, before they are answered.
///
/// One thread writes; debits that wait for it share one commit (at most 512), so that many clients share the cost
/// of one fsync. There is no way to give queries back.
///
/// # Guarantees
///
/// 1. No acknowledged query is uncounted, whenever the process is killed (`no_acknowledged_query_is_uncounted`).
/// 2. Over any number of threads, a client's acknowledged queries never exceed its quota
///    (`threads_together_never_exceed_the_quota`).
/// 3. A request is counted whole or not at all (`a_request_too_large_debits_nothing`).
/// 4. When the store fails, nothing is acknowledged (`a_failing_store_denies`).
///
/// # Limits
///
/// Guarantee 1 holds through a power loss only as far as the disk keeps what it said it had written.
/// Whoever may write the file may reset the budgets: the file is created for its owner alone.
///
/// # Examples
///
/// ```
/// use underpin_serve::{QueryLedger, Quota};
///
/// # let folder = tempfile::tempdir()?;
/// let ledger = QueryLedger::open(&folder.path().join("queries.redb"))?;
/// let quota = Quota { queries: 10, per_second: None };
/// assert_eq!(ledger.debit("alice", 8, &quota)?.remaining, 2);
/// assert!(ledger.debit("alice", 3, &quota).is_err());
/// assert_eq!(ledger.used("alice")?, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct QueryLedger {
    path: PathBuf,
    store: Arc<Database>,
    jobs: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// What a debit left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Queries counted for the client so far, this request's included.
    pub used: u64,
    /// Queries left.
    pub remaining: u64,
}

struct Job {
    client: String,
    queries: u64,
    limit: u64,
    reply: SyncSender<Result<Receipt, Denied>>,
}

impl QueryLedger {
    /// Opens the ledger at `path`, or makes an empty one for its owner alone.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] when the file is no ledger or another process has it open; [`Error::File`] when it cannot
    /// be made; [`Error::Permissions`] when others than its owner may touch it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refused = |source: redb::Error| match source {
            redb::Error::DatabaseAlreadyOpen => Error::InUse { path: path.to_owned() },
            source => Error::Ledger { path: path.to_owned(), source: Box::new(source) },
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let opened = file::private(&mut options).open(path).map_err(Error::file(path))?;
        file::check_private(path, &opened)?;
        // Without it, a power loss could take a new ledger away.
        file::sync_folder(path)?;
        let store = FileBackend::new(opened)
            .and_then(|backend| Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend))
            .map_err(|source| refused(source.into()))?;
        prepare(&store).map_err(refused)?;
        Ok(Self::over(path, store))
    }

    fn over(path: &Path, store: Database) -> Self {
        let store = Arc::new(store);
        let (jobs, queue) = sync_channel(2 * BATCH);
        let writing = Arc::clone(&store);
        let writer = std::thread::spawn(move || write(&writing, &queue));
        Self { path: path.to_owned(), store, jobs: Some(jobs), writer: Some(writer) }
    }

    /// Counts `queries` more for `client`; on disk when this returns.
    ///
    /// `quota.per_second` is not looked at: rate is [`crate::QueryLimit`]'s affair. Zero queries cost nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::QuotaExhausted`] when fewer than `queries` are left: then none is counted.
    /// [`Denied::Unavailable`] when the store fails: then they may be counted, and must not be answered.
    pub fn debit(&self, client: &str, queries: u64, quota: &Quota) -> Result<Receipt, Denied> {
        let unavailable = || Denied::Unavailable { reason: "the query ledger cannot be written".into() };
        let (reply, answer) = sync_channel(1);
        let job = Job { client: client.to_owned(), queries, limit: quota.queries, reply };
        self.jobs.as_ref().ok_or_else(unavailable)?.send(job).map_err(|_| unavailable())?;
        answer.recv().map_err(|_| unavailable())?
    }

    /// Queries counted for `client`; 0 for a client never seen.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] when the store cannot be read.
    pub fn used(&self, client: &str) -> Result<u64, Error> {
        read(&self.store, client).map_err(|source| Error::Ledger { path: self.path.clone(), source: Box::new(source) })
    }
}

impl Drop for QueryLedger {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // OK to pass over a writer that panicked: every debit that waited for it was denied.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for QueryLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLedger").field("path", &self.path).finish_non_exhaustive()
    }
}

fn prepare(store: &Database) -> Result<(), redb::Error> {
    let transaction = store.begin_write()?;
    transaction.open_table(USED)?;
    Ok(transaction.commit()?)
}

fn read(store: &Database, client: &str) -> Result<u64, redb::Error> {
    let table = store.begin_read()?.open_table(USED)?;
    Ok(table.get(client)?.map_or(0, |used| used.value()))
}

/// The writer thread: as many debits per commit as wait, each answered after the commit.
fn write(store: &Database, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(BATCH - 1));
        let verdicts = commit(store, &batch).unwrap_or_else(|error| {
            tracing::error!(%error, debits = batch.len(), "the query ledger cannot be written");
            let reason = format!("the query ledger cannot be written: {error}");
            vec![Err(Denied::Unavailable { reason }); batch.len()]
        });
        for (job, verdict) in batch.into_iter().zip(verdicts) {
            // OK to pass over one who no longer waits: the queries are counted, and nobody was told.
            let _ = job.reply.send(verdict);
        }
    }
}

fn commit(store: &Database, batch: &[Job]) -> Result<Vec<Result<Receipt, Denied>>, redb::Error> {
    let mut transaction = store.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut table = transaction.open_table(USED)?;
    let verdicts = batch.iter().map(|job| settle(&mut table, job)).collect::<Result<Vec<_>, redb::Error>>()?;
    drop(table);
    if verdicts.iter().any(Result::is_ok) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(verdicts)
}

fn settle(table: &mut Table<'_, &'static str, u64>, job: &Job) -> Result<Result<Receipt, Denied>, redb::Error> {
    let used = table.get(job.client.as_str())?.map_or(0, |used| used.value());
    let Some(total) = used.checked_add(job.queries).filter(|total| *total <= job.limit) else {
        return Ok(Err(Denied::QuotaExhausted { used, limit: job.limit, asked: job.queries }));
    };
    if total > used {
        table.insert(job.client.as_str(), total)?;
    }
    Ok(Ok(Receipt { used: total, remaining: job.limit - total }))
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
