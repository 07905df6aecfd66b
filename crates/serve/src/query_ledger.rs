//! Query ledger: a durable count of each client's queries.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use redb::{ReadableTable, Table, WriteTransaction};
use underpin_core::Denied;
use underpin_privacy::durable::{BatchWriter, GroupCommit};

use crate::ledger_store::{LedgerStore, USED};
use crate::{Error, Quota};

/// Counts each client's queries on disk, before they are answered.
///
/// One debit at a time is written; those that wait meanwhile share the next commit ([`GroupCommit`]), so that many clients
/// share the cost of one fsync. There is no way to give queries back.
///
/// # Guarantees
///
/// 1. No acknowledged query is uncounted, whenever the process is killed (`no_acknowledged_query_is_uncounted`).
/// 2. Over any number of threads, a client's acknowledged queries never exceed its quota
///    (`threads_together_never_exceed_the_quota`).
/// 3. A request is counted whole or not at all (`a_request_too_large_debits_nothing`).
/// 4. When the store fails, nothing is acknowledged (`a_failing_store_denies`); once it works again, so does the ledger,
///    and no acknowledged query is lost (`a_disk_that_was_full_for_a_moment_heals`).
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
    store: Arc<LedgerStore>,
    writer: GroupCommit<Debits>,
}

/// What a debit left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Queries counted for the client so far, this request's included.
    pub used: u64,
    /// Queries left.
    pub remaining: u64,
}

/// Queries of one client, to be counted.
struct Debit {
    client: String,
    queries: u64,
    limit: u64,
}

impl QueryLedger {
    /// Opens the ledger at `path`, or makes an empty one for its owner alone. Every page of its file is checked.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] when the file is no ledger; [`Error::InUse`] when another process has it open; [`Error::File`]
    /// when it cannot be made; [`Error::Exposed`] when others than its owner may touch it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self::over(LedgerStore::open(path)?))
    }

    fn over(store: LedgerStore) -> Self {
        let store = Arc::new(store);
        Self { writer: GroupCommit::new(Debits(Arc::clone(&store))), store }
    }

    /// A name that no other ledger has, given to it when it was made.
    pub fn identity(&self) -> &str {
        self.store.identity()
    }

    /// Queries of all clients together that were acknowledged.
    pub fn counted(&self) -> u64 {
        self.store.counted()
    }

    /// Binds the ledger to `run`, if it is bound to none; the run to which it is bound.
    pub(crate) fn bind(&self, run: &str) -> Result<String, Error> {
        self.store.bind(run)
    }

    /// Whether the ledger could count a query now: writes to the disk, but counts nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`], [`Error::File`] when it cannot be written.
    pub fn check(&self) -> Result<(), Error> {
        self.store.check()
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
        let debit = Debit { client: client.to_owned(), queries, limit: quota.queries };
        let stopped = || Err(Denied::Unavailable { reason: "the query ledger cannot be written".into() });
        self.writer.submit(debit).unwrap_or_else(stopped)
    }

    /// Queries counted for `client`; 0 for a client never seen.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] when the store cannot be read.
    pub fn used(&self, client: &str) -> Result<u64, Error> {
        self.store.read(|read| Ok(read.open_table(USED)?.get(client)?.map_or(0, |used| used.value())))
    }
}

impl fmt::Debug for QueryLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLedger").field("path", &self.store.path()).finish_non_exhaustive()
    }
}

/// Writes debits: all that wait in one commit, acknowledged after it.
struct Debits(Arc<LedgerStore>);

impl BatchWriter for Debits {
    type Job = Debit;
    type Verdict = Result<Receipt, Denied>;
    type Snapshot = ();

    fn write(&mut self, debits: Vec<Debit>) -> Vec<Result<Receipt, Denied>> {
        let mut verdicts = Vec::new();
        let written = self.0.write(|transaction| {
            verdicts = settled(transaction, &debits)?;
            let counted = debits.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
            let counted = counted.map(|(debit, _)| debit.queries).fold(0, u64::saturating_add);
            // Nothing to commit where all are denied.
            Ok(verdicts.iter().any(Result::is_ok).then_some(((), counted)))
        });
        match written {
            Ok(_) => verdicts,
            Err(error) => {
                tracing::error!(%error, debits = debits.len(), "the query ledger cannot be written");
                let reason = format!("the query ledger cannot be written: {error}");
                vec![Err(Denied::Unavailable { reason }); debits.len()]
            }
        }
    }

    fn snapshot(&self) {}
}

fn settled(transaction: &WriteTransaction, debits: &[Debit]) -> Result<Vec<Result<Receipt, Denied>>, redb::Error> {
    let mut table = transaction.open_table(USED)?;
    debits.iter().map(|debit| settle(&mut table, debit)).collect()
}

fn settle(table: &mut Table<'_, &'static str, u64>, debit: &Debit) -> Result<Result<Receipt, Denied>, redb::Error> {
    let used = table.get(debit.client.as_str())?.map_or(0, |used| used.value());
    let Some(total) = used.checked_add(debit.queries).filter(|total| *total <= debit.limit) else {
        return Ok(Err(Denied::QuotaExhausted { used, limit: debit.limit, asked: debit.queries }));
    };
    if total > used {
        table.insert(debit.client.as_str(), total)?;
    }
    Ok(Ok(Receipt { used: total, remaining: debit.limit - total }))
}

#[cfg(test)]
#[path = "query_ledger_tests.rs"]
mod tests;
