//! A privacy budget: (ε, δ) for answers together, spent before an answer is given, in memory or in a file.
//!
//! [`entry`] (what the record holds) ← [`chain`] (its hashes) ← [`store`], [`file`] (where it is kept) ← [`filter`]
//! (what fits) ← [`replay`], [`writer`] (reading and writing the record) ← [`Budget`].

mod chain;
mod charge;
mod cost;
mod entry;
mod fault;
mod file;
mod filter;
mod price;
mod replay;
mod store;
mod terms;
mod writer;

#[cfg(test)]
mod interleavings_tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use underpin_core::{Delta, Epsilon};

pub use chain::AuditTrail;
pub use cost::Cost;
pub use entry::{BudgetEvent, ChainHead, Entry, RunMark};
pub use fault::{EntryFault, FileFault, RecordFault};
pub use terms::BudgetTerms;

use crate::Error;
use crate::durable::GroupCommit;
use chain::{Chain, Stored};
use file::BudgetFile;
use filter::Filter;
use replay::{Replayed, genesis, replay};
use store::{EntryStore, MemoryStore};
use writer::{BudgetJob, BudgetWriter};

/// ε at δ for answers whose questions may each depend on all answers before.
///
/// A cost is spent ([`reserve`](Self::reserve)) before its answer is worked out; then the answer is given
/// ([`Reservation::answer`]), and that is recorded. Shared by reference between threads; not `Clone`. In memory
/// ([`new`](Self::new)), where who restarts with a new one refills it, or in a file ([`create`](Self::create),
/// [`open`](Self::open)).
///
/// # What fits
///
/// Costs fit as long as, together, either their divergences of one Rényi order fit (advanced composition and better), or
/// their ε add up to no more than the whole (basic composition: one answer may cost all of ε). Only
/// [`Cost::Pure`] and [`Cost::Approximate`] have an ε. The δ of all are added up apart. The module `budget::filter` has
/// the proof.
///
/// # Guarantees
///
/// 1. Answers whose reserved costs are true are together (ε, δ)-private under the terms' neighbouring relation, however
///    the questions, and the costs, are chosen (`an_adaptive_analyst_learns_no_more_than_promised`,
///    `what_is_spent_stays_within`).
/// 2. A cost that does not fit is refused and spends nothing (`what_does_not_fit_spends_nothing`).
/// 3. Threads never spend more together than the whole (`threads_share_one_budget`,
///    `every_interleaving_spends_at_most_the_whole`).
///
/// Whole runs of training are paid for by [`PrivateSteps::pay`](crate::PrivateSteps::pay): see [`PaidRun`](crate::PaidRun).
///
/// Of a budget in a file:
///
/// 4. A cost is in the file, and the file synchronised, before `reserve` returns: killed at any moment, a process has
///    spent what it acknowledged, and what was reserved but not answered stays spent
///    (`two_hundred_kills_refill_nothing`; a power loss, as far as the disk keeps what it said it had written:
///    `a_power_loss_refills_nothing`).
/// 5. A record that was edited does not open: every entry carries a hash of itself and the one before
///    (`an_edited_record_is_refused`). A file whose bytes were changed or cut is refused, without a panic, or shows the
///    same record (`changed_bytes_refill_nothing`).
/// 6. An older copy is refused to a caller who knows a later head (`an_older_copy_is_refused`).
/// 7. One budget at a time has the file open, over all processes (`a_second_writer_is_refused`); other terms than those in
///    it are refused (`other_terms_are_refused`).
/// 8. When the file cannot be written, nothing is acknowledged from then on (`a_failing_disk_acknowledges_nothing`).
///
/// # Limits
///
/// Who may write the file and knows this format can write another valid record: only the known head finds it out, so keep it
/// elsewhere. Two copies of a file are two budgets. Without a head an older copy passes, and a file both
/// left by a killed process and damaged afterwards may lack its last write. Reservations wait for the disk: threads
/// share the wait, one alone makes as many as the disk synchronises. Costs are the caller's word. Sums are exact and costs rounded up:
/// ten times `0.1`, which in binary is a little more than a tenth, is more than 1.
///
/// # Source
///
/// Feldman and Zrnic, *Individual Privacy Accounting via a Rényi Filter*, NeurIPS 2021; Whitehouse, Ramdas, Rogers and
/// Wu, *Fully-Adaptive Composition in Differential Privacy*, ICML 2023; Rogers, Roth, Ullman and Vadhan, *Privacy
/// Odometers and Filters*, NeurIPS 2016; converted by Canonne, Kamath and Steinke 2020, Proposition 12.
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Budget, Cost, DiscreteLaplace, SecretKey};
///
/// let budget = Budget::new(Epsilon::new(1.0)?, Delta::new(1e-6)?)?;
/// let mut stream = SecretKey::from_os()?.stream("count", &[]);
/// let noise = DiscreteLaplace::new(20.0)?;
/// let cost = Cost::Pure(Epsilon::new(noise.epsilon(1))?);
/// let count = budget.reserve(cost)?.answer(|| 1_234 + noise.sample(&mut stream));
/// println!("about {count}; {} of the budget is left", budget.left());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In a file, with a run of training and its record:
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{BudgetEvent, Budget, Cost, Error, SubsampledGaussian, BudgetTerms};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("patients.budget");
/// let terms = BudgetTerms { unit: "one row of patients.csv".into(), ..BudgetTerms::new(Epsilon::new(3.0)?, Delta::new(1e-6)?) };
/// let budget = Budget::create(&path, &terms)?;
/// let mechanism = SubsampledGaussian::new(0.01, 2.0, 1.0)?;
/// let run = budget.reserve_for("train", mechanism.cost(1_000, 26_010))?;
/// // ... train ...
/// run.commit();
/// budget.reserve_for("mean age", Cost::Concentrated(0.01))?.answer(|| "about 40");
/// let head = budget.close()?; // to be kept elsewhere
///
/// let budget = Budget::open(&path, &terms, Some(&head))?;
/// assert!(budget.left() < 0.9);
/// let asked: Vec<String> = budget
///     .trail()?
///     .filter_map(|entry| match entry.map(|entry| entry.event) {
///         Ok(BudgetEvent::Reserved { label, .. }) => Some(label),
///         _ => None,
///     })
///     .collect();
/// assert_eq!(asked, ["train", "mean age"]);
/// assert!(matches!(Budget::open(&path, &terms, None), Err(Error::BudgetInUse { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Budget {
    terms: BudgetTerms,
    filter: Filter,
    writer: GroupCommit<BudgetWriter>,
    kept: Kept,
    /// Entries of the runs under way in this process.
    running: Mutex<BTreeSet<u64>>,
}

/// Where the entries are kept, to be read.
enum Kept {
    Memory(MemoryStore),
    File(BudgetFile),
}

/// A cost that is spent, and the right to one answer for it. Dropped unused, it stays spent.
#[must_use = "the cost is spent; answer with it, or give it back"]
#[derive(Debug)]
pub struct Reservation<'a> {
    budget: &'a Budget,
    sequence: u64,
}

impl Budget {
    /// A budget in memory whose answers together are to be (`epsilon`, `delta`)-private for one row more or less; see
    /// [`BudgetTerms::new`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when `epsilon` exceeds 1000.
    pub fn new(epsilon: Epsilon, delta: Delta) -> Result<Self, Error> {
        Self::in_memory(&BudgetTerms::new(epsilon, delta))
    }

    /// A budget in memory under `terms`. Its record grows by some hundred bytes with each answer.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when ε exceeds 1000 or no δ is left beside what is set aside; [`Error::TextTooLong`] for a
    /// unit of more than 256 bytes.
    pub fn in_memory(terms: &BudgetTerms) -> Result<Self, Error> {
        terms.check()?;
        let mut store = MemoryStore::default();
        store.append(0, &[genesis(terms)])?;
        Self::over(terms, None, Kept::Memory(store.clone()), Box::new(store))
    }

    /// Makes a file for a new budget, its owner's alone. It appears whole or not at all; a process killed on the way
    /// may leave a file `PATH.*.draft` behind, of no use.
    ///
    /// # Errors
    ///
    /// As for [`in_memory`](Self::in_memory); [`Error::BudgetFile`] when there is a file already, or none can be made.
    pub fn create(path: &Path, terms: &BudgetTerms) -> Result<Self, Error> {
        terms.check()?;
        let file = BudgetFile::create(path, &genesis(terms))?;
        Self::over(terms, None, Kept::File(file.clone()), Box::new(file))
    }

    /// Opens a budget's file and reads all of its record. A missing file is never made anew.
    ///
    /// `known` is the last head that the caller knows of ([`head`](Self::head)); the record must contain it, and may go
    /// on after it. With `None` an older copy of the file is not found out.
    ///
    /// # Errors
    ///
    /// [`Error::BudgetFile`] when there is no such file, or others than its owner may touch it;
    /// [`Error::BudgetInUse`] when it is open already; [`Error::BudgetDamaged`] when it is no budget's, or its chain is
    /// broken; [`Error::BudgetRolledBack`] when it lacks `known`; [`Error::OtherTerms`] when it is another budget's.
    pub fn open(path: &Path, terms: &BudgetTerms, known: Option<&ChainHead>) -> Result<Self, Error> {
        terms.check()?;
        let file = BudgetFile::open(path)?;
        Self::over(terms, known, Kept::File(file.clone()), Box::new(file))
    }

    /// As [`open`](Self::open), under whatever terms the file was made with: see [`terms`](Self::terms), and compare the
    /// unit and the neighbouring relation before anything is reserved.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), but for [`Error::OtherTerms`].
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::{Delta, Epsilon};
    /// use underpin_privacy::{Budget, BudgetTerms};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("patients.budget");
    /// let terms = BudgetTerms { unit: "one row of patients.csv".into(), ..BudgetTerms::new(Epsilon::new(1.0)?, Delta::new(1e-6)?) };
    /// Budget::create(&path, &terms)?.close()?;
    /// let budget = Budget::open_as_made(&path, None)?;
    /// assert_eq!(budget.terms().unit, "one row of patients.csv");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_as_made(path: &Path, known: Option<&ChainHead>) -> Result<Self, Error> {
        let file = BudgetFile::open(path)?;
        let first = Chain::new(path.to_owned(), file.stored()?).next().transpose()?.map(|(_, first)| first.event);
        let Some(BudgetEvent::Opened { terms }) = first else {
            let fault = RecordFault::Entry { sequence: 0, fault: EntryFault::NoTerms };
            return Err(Error::BudgetDamaged { path: path.to_owned(), fault });
        };
        Self::over(&terms, known, Kept::File(file.clone()), Box::new(file))
    }

    fn over(
        terms: &BudgetTerms,
        known: Option<&ChainHead>,
        kept: Kept,
        store: Box<dyn EntryStore>,
    ) -> Result<Self, Error> {
        let path = kept.path();
        let replayed: Replayed = replay(&path, Chain::new(path.clone(), kept.stored()?), terms, known)?;
        let (terms, filter) = (replayed.terms.clone(), replayed.filter);
        let writer = GroupCommit::new(BudgetWriter::new(replayed, store));
        Ok(Self { terms, filter, writer, kept, running: Mutex::default() })
    }

    /// Spends a cost ahead of its answer; [`reserve_for`](Self::reserve_for) without a label.
    ///
    /// # Errors
    ///
    /// As for [`reserve_for`](Self::reserve_for).
    pub fn reserve(&self, cost: Cost) -> Result<Reservation<'_>, Error> {
        self.reserve_for("", cost)
    }

    /// Spends a cost ahead of its answer. `label` says in the record what is asked: at most 256 bytes, and nothing that
    /// depends on the data.
    ///
    /// Threads that wait share one write.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`] when the cost does not fit; [`Error::OutOfRange`] when it is none;
    /// [`Error::OtherRelation`] when it is not accounted under the budget's neighbouring relation;
    /// [`Error::TextTooLong`]. [`Error::BudgetFile`] or [`Error::BudgetDamaged`] when the file cannot be written: the
    /// cost may be spent, there is no answer, and the budget is to be opened again.
    pub fn reserve_for(&self, label: &str, cost: Cost) -> Result<Reservation<'_>, Error> {
        terms::short(label)?;
        let charge = cost.charge(&self.filter, self.terms.adjacency)?;
        let sequence = self.submit(BudgetJob::Reserve { cost, charge, label: label.to_owned() })?;
        Ok(Reservation { budget: self, sequence })
    }

    /// Whether costs would fit together with what is spent. Spends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`] for the first that does not fit beside those before it; [`Error::OutOfRange`] and
    /// [`Error::OtherRelation`] as for [`reserve_for`](Self::reserve_for).
    pub fn check_fits(&self, costs: &[Cost]) -> Result<(), Error> {
        let mut spent = self.writer.snapshot().spent;
        for cost in costs {
            spent = self.filter.add(&spent, &cost.charge(&self.filter, self.terms.adjacency)?)?;
        }
        Ok(())
    }

    fn submit(&self, job: BudgetJob) -> Result<u64, Error> {
        let stopped = || Error::BudgetFile { path: self.path(), fault: FileFault::WriterPanicked };
        self.writer.submit(job).ok_or_else(stopped)?
    }

    /// Spends the cost of a run, unless it has begun; either way the number of its first entry.
    pub(crate) fn begin_run(&self, name: &str, cost: Cost) -> Result<u64, Error> {
        terms::short(name)?;
        let charge = cost.charge(&self.filter, self.terms.adjacency)?;
        self.submit(BudgetJob::Begin { name: name.to_owned(), cost, charge })
    }

    /// Records how far the run that began with entry `run` has come.
    pub(crate) fn mark_run(&self, run: u64, mark: RunMark) -> Result<(), Error> {
        self.submit(BudgetJob::Mark { run, mark }).map(drop)
    }

    /// Whether a run of that name has begun.
    pub(crate) fn has_begun(&self, name: &str) -> Result<bool, Error> {
        for entry in self.trail()? {
            if matches!(entry?.event, BudgetEvent::Begun { run, .. } if run == name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs under way in this process.
    pub(crate) fn running(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a budget whose record does not contain `known`: an older copy, or another budget.
    ///
    /// # Errors
    ///
    /// [`Error::BudgetRolledBack`]; as for [`trail`](Self::trail) when the record cannot be read.
    pub fn check_contains(&self, known: &ChainHead) -> Result<(), Error> {
        let mut found = ChainHead::START;
        for row in self.trail()?.0 {
            (found, _) = row?;
            if found.sequence == known.sequence {
                break;
            }
        }
        if found == *known {
            return Ok(());
        }
        Err(Error::BudgetRolledBack { path: self.path(), known: known.to_string(), found: found.to_string() })
    }

    /// The larger fraction of the budget that is left, of ε and of the divergence, in `[0, 1]`.
    pub fn left(&self) -> f64 {
        self.filter.left(&self.writer.snapshot().spent)
    }

    /// The fraction that is left of the δ set aside for approximate costs, in `[0, 1]`; 0 where none was.
    pub fn delta_left(&self) -> f64 {
        self.filter.delta_left(&self.writer.snapshot().spent)
    }

    /// The largest ρ of concentrated costs that fit together.
    pub fn rho(&self) -> f64 {
        self.filter.rho()
    }

    /// What the budget promises, the order of its filter included.
    pub const fn terms(&self) -> &BudgetTerms {
        &self.terms
    }

    /// The head of the record; on disk, for a budget in a file. At least as late as every reservation that was
    /// acknowledged.
    pub fn head(&self) -> ChainHead {
        self.writer.snapshot().head
    }

    /// The record so far, answers included whose commit was not written yet.
    ///
    /// # Errors
    ///
    /// As for [`reserve_for`](Self::reserve_for) when the file cannot be written, or read.
    pub fn trail(&self) -> Result<AuditTrail, Error> {
        self.submit(BudgetJob::Sync)?;
        Ok(AuditTrail(Chain::new(self.path(), self.kept.stored()?)))
    }

    /// Writes what is not written yet and closes the file. Dropping does the same, but reports no error.
    ///
    /// # Errors
    ///
    /// As for [`reserve_for`](Self::reserve_for) when the file cannot be written.
    pub fn close(self) -> Result<ChainHead, Error> {
        self.submit(BudgetJob::Sync)?;
        Ok(self.head())
    }

    fn path(&self) -> PathBuf {
        self.kept.path()
    }
}

impl Kept {
    /// The file, or what errors call a budget in memory.
    fn path(&self) -> PathBuf {
        match self {
            Self::Memory(_) => MemoryStore::path(),
            Self::File(file) => file.path().to_owned(),
        }
    }

    /// All entries so far.
    fn stored(&self) -> Result<Stored, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.stored()),
            Self::File(file) => file.stored(),
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        // OK to pass over: what is lost says only that a reservation was answered, and it stays spent.
        let _ = self.submit(BudgetJob::Sync);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("terms", &self.terms).field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Reservation<'_> {
    /// Gives the one answer that the cost pays for, and records that it was given.
    ///
    /// The record is written with the next reservation, or when the budget is closed: until then a crash leaves the
    /// reservation spent and unanswered. An `answer` that panics leaves it so too.
    pub fn answer<T>(self, answer: impl FnOnce() -> T) -> T {
        let answer = answer();
        self.commit();
        answer
    }

    /// Records that the answer was given; for one that is worked out elsewhere. As for [`answer`](Self::answer).
    pub fn commit(self) {
        self.budget.writer.post(BudgetJob::Answer { reservation: self.sequence });
    }

    /// Gives the cost back. Only for a question of which nothing was worked out: an answer that was computed and thrown
    /// away, or an error that depends on the data, has cost what it costs.
    ///
    /// Where the file cannot be written, the cost stays spent, and the next reservation says why.
    pub fn give_back(self) {
        // OK to pass over: it is the safe side.
        let _ = self.budget.submit(BudgetJob::GiveBack { reservation: self.sequence });
    }

    /// Number of its entry in the record.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}

#[cfg(test)]
mod tests;
