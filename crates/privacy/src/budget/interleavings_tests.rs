//! Group commit under a scheduler that tries many interleavings of its locks (shuttle): the very source of
//! `group_commit.rs`, over a model of `std::sync`.

#![allow(dead_code, unreachable_pub, reason = "not all of the group is modelled, and its source is public elsewhere")]
#![allow(clippy::duplicate_mod, reason = "that is the point")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::{check_pct, check_random, thread};
use underpin_core::{Delta, Epsilon};

use super::BudgetTerms;
use super::chain::Chain;
use super::cost::Cost;
use super::fault::FileFault;
use super::replay::{BudgetTotals, genesis, replay};
use super::store::{EntryStore, MemoryStore};
use super::writer::{BudgetJob, BudgetWriter};
use crate::Error;

mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
}

#[path = "../durable/group_commit.rs"]
mod group_commit;

/// The trait of the real group commit, for the modelled one.
impl group_commit::BatchWriter for BudgetWriter {
    type Job = BudgetJob;
    type Verdict = Result<u64, Error>;
    type Snapshot = BudgetTotals;

    fn write(&mut self, jobs: Vec<BudgetJob>) -> Vec<Result<u64, Error>> {
        crate::durable::BatchWriter::write(self, jobs)
    }

    fn snapshot(&self) -> BudgetTotals {
        crate::durable::BatchWriter::snapshot(self)
    }
}

/// A disk that lets others run while it writes, and fails from some write on.
struct Disk {
    kept: Arc<AtomicU64>,
    writing: Arc<AtomicU64>,
    writes: u64,
    fails_at: u64,
}

impl EntryStore for Disk {
    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), Error> {
        assert_eq!(self.writing.swap(1, Ordering::SeqCst), 0, "two write at once");
        thread::yield_now();
        self.writes += 1;
        if self.writes >= self.fails_at {
            self.writing.store(0, Ordering::SeqCst);
            let fault = FileFault::Io { kind: std::io::ErrorKind::StorageFull, message: "full".into() };
            return Err(Error::BudgetFile { path: "disk".into(), fault });
        }
        assert_eq!(self.kept.fetch_add(entries.len() as u64, Ordering::SeqCst) + 1, first, "a gap or an overlap");
        thread::yield_now();
        self.writing.store(0, Ordering::SeqCst);
        Ok(())
    }
}

/// Three threads ask twice each for a third of the whole: what is acknowledged is kept, and never above the whole.
fn ask(fails_at: u64) {
    let terms = BudgetTerms::new(Epsilon::new(1.0).unwrap(), Delta::new(1e-6).unwrap());
    let mut first = MemoryStore::default();
    first.append(0, &[genesis(&terms)]).unwrap();
    let path = MemoryStore::path();
    let replayed = replay(&path, Chain::new(path.clone(), first.stored()), &terms, None).unwrap();
    let cost = Cost::Pure(Epsilon::new(0.33).unwrap());
    let charge = cost.charge(&replayed.filter, terms.adjacency).unwrap();
    let (kept, writing) = (Arc::new(AtomicU64::new(0)), Arc::default());
    let disk = Disk { kept: Arc::clone(&kept), writing, writes: 0, fails_at };
    let group = Arc::new(group_commit::GroupCommit::new(BudgetWriter::new(replayed, Box::new(disk))));
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let (group, kept) = (Arc::clone(&group), Arc::clone(&kept));
            thread::spawn(move || {
                let mut spent = 0_u64;
                for round in 0..2 {
                    let submitted = group.submit(BudgetJob::Reserve { cost, charge, label: String::new() });
                    let Some(Ok(reservation)) = submitted else { continue };
                    assert!(kept.load(Ordering::SeqCst) >= reservation, "acknowledged, and not kept");
                    assert!(group.snapshot().head.sequence() >= reservation);
                    spent += 1;
                    match (thread + round) % 3 {
                        0 => group.post(BudgetJob::Answer { reservation }),
                        // Given back, it may be spent again by another.
                        1 if matches!(group.submit(BudgetJob::GiveBack { reservation }), Some(Ok(_))) => spent -= 1,
                        _ => {}
                    }
                }
                spent
            })
        })
        .collect();
    let spent: u64 = threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum();
    let done = group.submit(BudgetJob::Sync);
    assert!(spent <= 3, "{spent} thirds");
    if fails_at == u64::MAX {
        // Of six that ask, two give back: three thirds are spent in the end, whoever was refused meanwhile.
        assert!(matches!(done, Some(Ok(last)) if last == kept.load(Ordering::SeqCst)));
        assert!(spent >= 1);
    }
}

#[test]
fn every_interleaving_spends_at_most_the_whole() {
    check_random(|| ask(u64::MAX), 2_000);
    check_pct(|| ask(u64::MAX), 2_000, 3);
}

/// Nobody is acknowledged, or left waiting, after the disk failed.
#[test]
fn every_interleaving_survives_a_failing_disk() {
    for fails_at in 1..5 {
        check_random(move || ask(fails_at), 500);
    }
}
