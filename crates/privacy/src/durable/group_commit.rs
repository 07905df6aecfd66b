// Many callers, one writer: whoever finds it free writes what all are waiting for. Compiled a second time by
// `budget::interleavings_tests`, over a model of the locks.

use std::collections::BTreeMap;
use std::fmt;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Writes jobs, many at a time; what a [`GroupCommit`] shares between threads.
///
/// # Examples
///
/// See [`GroupCommit`].
pub trait BatchWriter {
    /// What is to be written.
    type Job;
    /// What came of it.
    type Verdict;
    /// What callers may look at without waiting for a write.
    type Snapshot: Copy;

    /// Writes the jobs in their order and returns one verdict for each. What a verdict acknowledges must be durable by
    /// then.
    fn write(&mut self, jobs: Vec<Self::Job>) -> Vec<Self::Verdict>;

    /// The state after the last batch.
    fn snapshot(&self) -> Self::Snapshot;
}

/// Group commit: a writer shared by threads. Jobs that arrive while it writes are its next batch.
///
/// There is no thread of its own: a caller that finds the writer free writes for all that wait.
///
/// # Guarantees
///
/// 1. One batch at a time is written, jobs in the order in which they were submitted
///    (`every_interleaving_spends_at_most_the_whole`).
/// 2. [`submit`](Self::submit) returns after the batch of its job was written, never before; no caller is left waiting,
///    a writer that fails or panics included (`every_interleaving_survives_a_failing_disk`,
///    `a_writer_that_panics_leaves_nobody_waiting`).
///
/// # Examples
///
/// A counter whose additions share one write:
///
/// ```
/// use underpin_privacy::durable::{BatchWriter, GroupCommit};
///
/// struct Counter(u64);
///
/// impl BatchWriter for Counter {
///     type Job = u64;
///     type Verdict = u64;
///     type Snapshot = u64;
///
///     fn write(&mut self, jobs: Vec<u64>) -> Vec<u64> {
///         // Work out what each job leads to, make it durable in one commit, then acknowledge all of them.
///         jobs.into_iter().map(|job| { self.0 += job; self.0 }).collect()
///     }
///
///     fn snapshot(&self) -> u64 {
///         self.0
///     }
/// }
///
/// let counter = GroupCommit::new(Counter(0));
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| counter.submit(10));
///     }
/// });
/// assert_eq!(counter.snapshot(), 40);
/// ```
pub struct GroupCommit<W: BatchWriter> {
    shared: Mutex<Shared<W>>,
    turned: Condvar,
}

struct Shared<W: BatchWriter> {
    /// None while a caller writes with it, and for good after a writer that panicked.
    writer: Option<W>,
    lost: bool,
    waiting: Vec<(Ticket, W::Job)>,
    verdicts: BTreeMap<u64, W::Verdict>,
    tickets: u64,
    snapshot: W::Snapshot,
}

/// Whether someone waits for the verdict, and under which number.
enum Ticket {
    Wanted(u64),
    Unwanted,
}

impl<W: BatchWriter> GroupCommit<W> {
    /// Shares a writer.
    pub fn new(writer: W) -> Self {
        let snapshot = writer.snapshot();
        let (waiting, verdicts) = (Vec::new(), BTreeMap::new());
        let shared = Shared { writer: Some(writer), lost: false, waiting, verdicts, tickets: 0, snapshot };
        Self { shared: Mutex::new(shared), turned: Condvar::new() }
    }

    /// Has a job written and waits for its verdict. None when the writer panicked, or gave another number of verdicts
    /// than it had jobs: then, and for good, nothing more is written.
    pub fn submit(&self, job: W::Job) -> Option<W::Verdict> {
        let mut shared = self.lock();
        let ticket = shared.tickets;
        shared.tickets += 1;
        shared.waiting.push((Ticket::Wanted(ticket), job));
        loop {
            if let Some(verdict) = shared.verdicts.remove(&ticket) {
                return Some(verdict);
            }
            if shared.lost {
                return None;
            }
            shared = match shared.writer.take() {
                Some(writer) => self.lead(shared, writer),
                None => self.turned.wait(shared).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Leaves a job to the next batch and does not wait.
    pub fn post(&self, job: W::Job) {
        self.lock().waiting.push((Ticket::Unwanted, job));
    }

    /// The state after the last batch.
    pub fn snapshot(&self) -> W::Snapshot {
        self.lock().snapshot
    }

    /// Writes what waits, outside the lock.
    fn lead<'a>(&'a self, mut shared: MutexGuard<'a, Shared<W>>, writer: W) -> MutexGuard<'a, Shared<W>> {
        let batch = std::mem::take(&mut shared.waiting);
        drop(shared);
        let mut turn = Turn { group: self, writer: Some(writer) };
        let (tickets, jobs): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let verdicts = turn.writer.as_mut().map_or_else(Vec::new, |writer| writer.write(jobs));
        if verdicts.len() != tickets.len() {
            drop(turn);
            return self.lock();
        }
        let mut shared = self.lock();
        for (ticket, verdict) in tickets.into_iter().zip(verdicts) {
            if let Ticket::Wanted(ticket) = ticket {
                shared.verdicts.insert(ticket, verdict);
            }
        }
        if let Some(writer) = turn.writer.take() {
            shared.snapshot = writer.snapshot();
            shared.writer = Some(writer);
        }
        self.turned.notify_all();
        shared
    }

    /// A holder of the lock that panicked left nothing half done: it only moves values.
    fn lock(&self) -> MutexGuard<'_, Shared<W>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: BatchWriter> fmt::Debug for GroupCommit<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCommit").finish_non_exhaustive()
    }
}

/// One caller's turn as the writer. If it panics, nobody is left waiting.
struct Turn<'a, W: BatchWriter> {
    group: &'a GroupCommit<W>,
    writer: Option<W>,
}

impl<W: BatchWriter> Drop for Turn<'_, W> {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.group.lock().lost = true;
            self.group.turned.notify_all();
        }
    }
}
