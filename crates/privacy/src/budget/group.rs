// Many callers, one writer: whoever finds it free writes what all are waiting for. Compiled a second time by
// `modelled.rs`, over a model of the locks.

use std::collections::BTreeMap;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Does jobs, many at a time.
pub(super) trait Write {
    /// What is to be done.
    type Job;
    /// What came of it.
    type Verdict;
    /// What callers may look at without waiting.
    type Standing: Copy;

    /// Does the jobs in their order; one verdict each.
    fn write(&mut self, jobs: Vec<Self::Job>) -> Vec<Self::Verdict>;

    /// How things stand after the last batch.
    fn standing(&self) -> Self::Standing;
}

/// A writer shared by threads. Jobs that wait while it is busy are its next batch.
pub(super) struct Group<W: Write> {
    shared: Mutex<Shared<W>>,
    turned: Condvar,
}

struct Shared<W: Write> {
    /// None while a caller writes with it, and for good after a writer that panicked.
    writer: Option<W>,
    lost: bool,
    waiting: Vec<(Ticket, W::Job)>,
    verdicts: BTreeMap<u64, W::Verdict>,
    tickets: u64,
    standing: W::Standing,
}

/// Whether someone waits for the verdict, and under which number.
enum Ticket {
    Wanted(u64),
    Unwanted,
}

impl<W: Write> Group<W> {
    pub(super) fn new(writer: W) -> Self {
        let standing = writer.standing();
        let (waiting, verdicts) = (Vec::new(), BTreeMap::new());
        let shared = Shared { writer: Some(writer), lost: false, waiting, verdicts, tickets: 0, standing };
        Self { shared: Mutex::new(shared), turned: Condvar::new() }
    }

    /// Has a job done and waits for its verdict. None when a writer panicked.
    pub(super) fn submit(&self, job: W::Job) -> Option<W::Verdict> {
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

    /// Leaves a job to the next batch.
    pub(super) fn post(&self, job: W::Job) {
        self.lock().waiting.push((Ticket::Unwanted, job));
    }

    pub(super) fn standing(&self) -> W::Standing {
        self.lock().standing
    }

    /// Writes what waits, outside the lock.
    fn lead<'a>(&'a self, mut shared: MutexGuard<'a, Shared<W>>, writer: W) -> MutexGuard<'a, Shared<W>> {
        let batch = std::mem::take(&mut shared.waiting);
        drop(shared);
        let mut turn = Turn { group: self, writer: Some(writer) };
        let (tickets, jobs): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let verdicts = turn.writer.as_mut().map_or_else(Vec::new, |writer| writer.write(jobs));
        let mut shared = self.lock();
        for (ticket, verdict) in tickets.into_iter().zip(verdicts) {
            if let Ticket::Wanted(ticket) = ticket {
                shared.verdicts.insert(ticket, verdict);
            }
        }
        if let Some(writer) = turn.writer.take() {
            shared.standing = writer.standing();
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

/// One caller's turn as the writer. If it panics, nobody is left waiting.
struct Turn<'a, W: Write> {
    group: &'a Group<W>,
    writer: Option<W>,
}

impl<W: Write> Drop for Turn<'_, W> {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.group.lock().lost = true;
            self.group.turned.notify_all();
        }
    }
}
