//! A privacy budget that is spent before an answer is given.

mod cost;
mod entry;
mod file;
mod filter;
mod group;
mod ledger;
mod run;
mod terms;
mod trail;

#[cfg(test)]
mod modelled;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use underpin_core::{Delta, Epsilon};

pub use cost::Cost;
pub use entry::{BudgetEvent, ChainHead, Entry};
pub use run::{Accountant, PaidRun, RunMark};
pub use terms::BudgetTerms;
pub use trail::AuditTrail;

use crate::Error;
use file::BudgetFile;
use filter::Filter;
use group::Group;
use ledger::{BudgetLedger, Job, Replayed, Store, genesis, unseal};
use trail::{Chain, Rows};

/// The locks of `group`.
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
}

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
/// Whole runs of training are paid for by [`PrivateSteps::pay`](crate::PrivateSteps::pay): see [`PaidRun`].
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
/// Who may write the file and knows this format can write another valid record: only the known head tells, so keep it
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
///     .filter_map(|entry| match entry.map(|entry| entry.act) {
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
    ledger: Group<BudgetLedger>,
    record: Record,
    /// Entries of the runs under way in this process.
    running: Mutex<BTreeSet<u64>>,
}

/// Where the entries are kept, to be read.
enum Record {
    Memory(Memory),
    File(BudgetFile),
}

/// Entries of a budget in memory.
#[derive(Clone)]
struct Memory(Arc<Mutex<Vec<Vec<u8>>>>);

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
        let first = genesis(terms);
        let (head, row) = unseal(&ChainHead::START, 0, &first).map_err(unreadable)?;
        let replayed = Replayed::begin(head, row).map_err(unreadable)?;
        let memory = Memory(Arc::new(Mutex::new(vec![first])));
        Ok(Self::over(replayed, Box::new(memory.clone()), Record::Memory(memory)))
    }

    /// Makes a file for a new budget, its owner's alone. It appears whole or not at all; a process killed on the way
    /// may leave a file `PATH.*.draft` behind, of no use.
    ///
    /// # Errors
    ///
    /// As for [`in_memory`](Self::in_memory); [`Error::BudgetFile`] when there is a file already, or none can be made.
    pub fn create(path: &Path, terms: &BudgetTerms) -> Result<Self, Error> {
        terms.check()?;
        let file = BudgetFile::create(path, terms)?;
        let replayed = file.replay(terms, None)?;
        Ok(Self::over(replayed, Box::new(file.clone()), Record::File(file)))
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
        let replayed = file.replay(terms, known)?;
        Ok(Self::over(replayed, Box::new(file.clone()), Record::File(file)))
    }

    fn over(replayed: Replayed, store: Box<dyn Store>, record: Record) -> Self {
        let (terms, filter) = (replayed.terms.clone(), replayed.filter);
        let ledger = Group::new(BudgetLedger::new(replayed, store));
        Self { terms, filter, ledger, record, running: Mutex::default() }
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
        let sequence = self.submit(Job::Reserve { cost, charge, label: label.to_owned() })?;
        Ok(Reservation { budget: self, sequence })
    }

    fn submit(&self, job: Job) -> Result<u64, Error> {
        let stopped = || Error::BudgetFile { path: self.path(), reason: "an earlier write panicked".into() };
        self.ledger.submit(job).ok_or_else(stopped)?
    }

    /// The larger share of the budget that is left, of ε and of the divergence, in `[0, 1]`.
    pub fn left(&self) -> f64 {
        self.filter.left(&self.ledger.standing().spent)
    }

    /// Share that is left of the δ set aside for approximate costs, in `[0, 1]`; 0 where none was.
    pub fn delta_left(&self) -> f64 {
        self.filter.delta_left(&self.ledger.standing().spent)
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
        self.ledger.standing().head
    }

    /// The record so far, answers included whose commit was not written yet.
    ///
    /// # Errors
    ///
    /// As for [`reserve_for`](Self::reserve_for) when the file cannot be written, or read.
    pub fn trail(&self) -> Result<AuditTrail, Error> {
        self.submit(Job::Sync)?;
        let chain = match &self.record {
            Record::Memory(memory) => Chain::new(self.path(), Rows::Memory(memory.entries().into_iter())),
            Record::File(file) => file.chain()?,
        };
        Ok(AuditTrail(chain))
    }

    /// Writes what is not written yet and closes the file. Dropping does the same, but tells nobody.
    ///
    /// # Errors
    ///
    /// As for [`reserve_for`](Self::reserve_for) when the file cannot be written.
    pub fn close(self) -> Result<ChainHead, Error> {
        self.submit(Job::Sync)?;
        Ok(self.head())
    }

    fn path(&self) -> PathBuf {
        match &self.record {
            Record::Memory(_) => "memory".into(),
            Record::File(file) => file.path().to_owned(),
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        // OK to pass over: what is lost says only that a reservation was answered, and it stays spent.
        let _ = self.submit(Job::Sync);
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
        self.budget.ledger.post(Job::Answer { reservation: self.sequence });
    }

    /// Gives the cost back. Only for a question of which nothing was worked out: an answer that was computed and thrown
    /// away, or an error that depends on the data, has cost what it costs.
    ///
    /// Where the file cannot be written, the cost stays spent, and the next reservation says why.
    pub fn give_back(self) {
        // OK to pass over: it is the safe side.
        let _ = self.budget.submit(Job::GiveBack { reservation: self.sequence });
    }

    /// Number of its entry in the record.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Memory {
    fn entries(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store for Memory {
    fn append(&mut self, _first: u64, entries: &[Vec<u8>]) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(entries);
        Ok(())
    }
}

/// Our own first entry does not read: only a defect of this crate says so.
fn unreadable(reason: &str) -> Error {
    Error::BudgetDamaged { path: "memory".into(), reason: reason.into() }
}

#[cfg(test)]
mod tests;
