//! The record of a budget and the sums over it: one job after the other, no threads.

use std::collections::BTreeMap;

use super::entry::{BudgetEvent, ChainHead, Entry, Row};
use super::filter::{Charge, Filter, Spent};
use super::group::Write;
use super::{BudgetTerms, Cost, RunMark};
use crate::Error;

/// Keeps entries for good.
pub(super) trait Store: Send {
    /// Adds entries numbered from `first` on; all are kept, or none, when it returns.
    fn append(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), Error>;
}

/// What is to be recorded.
pub(super) enum Job {
    Reserve {
        cost: Cost,
        charge: Charge,
        label: String,
    },
    Answer {
        reservation: u64,
    },
    GiveBack {
        reservation: u64,
    },
    /// Spends the cost of a run, unless it has begun; either way the verdict is the number of its first entry.
    Begin {
        name: String,
        cost: Cost,
        charge: Charge,
    },
    /// A run has come so far.
    RunMark {
        run: u64,
        mark: RunMark,
    },
    /// Nothing: whoever waits for it knows that all before is kept.
    Sync,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) spent: Spent,
    pub(super) head: ChainHead,
}

/// What a record says, checked entry by entry.
pub(super) struct Replayed {
    pub(super) terms: BudgetTerms,
    pub(super) filter: Filter,
    pub(super) standing: Standing,
    /// Reservations neither answered nor given back: those before a crash, for good.
    open: BTreeMap<u64, Charge>,
    runs: BTreeMap<u64, Run>,
}

/// A run that was paid for.
struct Run {
    name: String,
    cost: Cost,
    charge: Charge,
    reached: Option<RunMark>,
}

impl Run {
    fn new(name: String, cost: Cost, charge: Charge) -> Self {
        Self { name, cost, charge, reached: None }
    }

    /// Whether a mark is past the last.
    fn is_behind(&self, mark: &RunMark) -> bool {
        self.reached.is_none_or(|reached| reached.steps < mark.steps)
    }
}

pub(super) struct BudgetLedger {
    filter: Filter,
    standing: Standing,
    open: BTreeMap<u64, Charge>,
    runs: BTreeMap<u64, Run>,
    store: Box<dyn Store>,
    /// Why nothing more is recorded.
    failed: Option<Error>,
}

/// The first entry of a budget.
pub(super) fn genesis(terms: &BudgetTerms) -> Vec<u8> {
    let terms = BudgetTerms { order: Some(Filter::new(terms).order()), ..terms.clone() };
    sealed(&ChainHead::START, 0, &Row::from(BudgetEvent::Opened { terms })).1
}

/// An entry's bytes followed by the hash that chains it to the one before.
fn sealed(before: &ChainHead, sequence: u64, row: &Row) -> (ChainHead, Vec<u8>) {
    let mut bytes = row.encode();
    let head = before.then(sequence, &bytes);
    bytes.extend_from_slice(head.hash.as_bytes());
    (head, bytes)
}

/// Reads the entry after `before`, numbered `sequence`.
pub(super) fn unseal(before: &ChainHead, sequence: u64, bytes: &[u8]) -> Result<(ChainHead, Row), &'static str> {
    let (body, hash) = bytes.split_last_chunk::<32>().ok_or("it is too short")?;
    let head = before.then(sequence, body);
    if head.hash != blake3::Hash::from_bytes(*hash) {
        return Err("its hash does not continue the chain");
    }
    Ok((head, Row::decode(body).ok_or("it is no entry")?))
}

impl Replayed {
    /// What the first entry says.
    pub(super) fn begin(head: ChainHead, row: Row) -> Result<Self, &'static str> {
        let BudgetEvent::Opened { terms } = row.act else { return Err("it does not state the terms") };
        terms.check().map_err(|_| "its terms are out of range")?;
        let filter = Filter::new(&terms);
        let standing = Standing { spent: Spent::default(), head };
        Ok(Self { terms, filter, standing, open: BTreeMap::new(), runs: BTreeMap::new() })
    }

    /// Adds a later entry.
    pub(super) fn follow(&mut self, head: ChainHead, row: &Row) -> Result<(), &'static str> {
        let spent = &mut self.standing.spent;
        match &row.act {
            BudgetEvent::Reserved { .. } => {
                *spent = spent.plus(&row.charge).ok_or("its cost is past all bounds")?;
                self.open.insert(head.sequence, row.charge);
            }
            BudgetEvent::Answered { reservation } => {
                self.open.remove(reservation).ok_or("it answers no open reservation")?;
            }
            BudgetEvent::GivenBack { reservation } => {
                let charge = self.open.remove(reservation).ok_or("it gives back no open reservation")?;
                *spent = spent.minus(&charge).ok_or("it gives back more than was spent")?;
            }
            BudgetEvent::Begun { run, cost } => {
                if self.runs.values().any(|known| known.name == *run) {
                    return Err("it begins a run a second time");
                }
                *spent = spent.plus(&row.charge).ok_or("its cost is past all bounds")?;
                self.runs.insert(head.sequence, Run::new(run.clone(), *cost, row.charge));
            }
            BudgetEvent::Reached { run, mark } => {
                let run = self.runs.get_mut(run).ok_or("it is of no run")?;
                if !run.is_behind(mark) {
                    return Err("it takes a run back");
                }
                run.reached = Some(*mark);
            }
            BudgetEvent::Opened { .. } => return Err("it states terms a second time"),
        }
        self.standing.head = head;
        Ok(())
    }
}

impl BudgetLedger {
    pub(super) fn new(replayed: Replayed, store: Box<dyn Store>) -> Self {
        let Replayed { filter, standing, open, runs, .. } = replayed;
        Self { filter, standing, open, runs, store, failed: None }
    }

    /// The standing after a job, the entry that records it, and its verdict.
    fn apply(&mut self, next: &mut Standing, job: Job, entries: &mut Vec<Vec<u8>>) -> Result<u64, Error> {
        let sequence = next.head.sequence + 1;
        let row = match job {
            Job::Reserve { cost, charge, label } => {
                next.spent = self.filter.add(&next.spent, &charge)?;
                self.open.insert(sequence, charge);
                Row { act: BudgetEvent::Reserved { label, cost }, charge }
            }
            Job::Answer { reservation } => {
                self.open.remove(&reservation);
                Row::from(BudgetEvent::Answered { reservation })
            }
            Job::GiveBack { reservation } => {
                if let Some(charge) = self.open.remove(&reservation) {
                    // What was added can be taken away.
                    next.spent = next.spent.minus(&charge).unwrap_or(next.spent);
                }
                Row::from(BudgetEvent::GivenBack { reservation })
            }
            Job::Begin { name, cost, charge } => {
                if let Some((sequence, run)) = self.runs.iter().find(|(_, run)| run.name == name) {
                    let (paid, asked) = (format!("{:?}", run.cost), format!("{cost:?}"));
                    let covered = charge.is_within(&run.charge);
                    return if covered { Ok(*sequence) } else { Err(Error::OtherCost { run: name, paid, asked }) };
                }
                next.spent = self.filter.add(&next.spent, &charge)?;
                self.runs.insert(sequence, Run::new(name.clone(), cost, charge));
                Row { act: BudgetEvent::Begun { run: name, cost }, charge }
            }
            Job::RunMark { run, mark } => {
                let behind = |steps| Error::RunBehind { steps: mark.steps, reached: steps };
                let known = self.runs.get_mut(&run).ok_or_else(|| behind(0))?;
                if known.reached == Some(mark) {
                    return Ok(next.head.sequence);
                }
                if !known.is_behind(&mark) {
                    return Err(behind(known.reached.map_or(0, |reached| reached.steps)));
                }
                known.reached = Some(mark);
                Row::from(BudgetEvent::Reached { run, mark })
            }
            Job::Sync => return Ok(next.head.sequence),
        };
        let (head, bytes) = sealed(&next.head, sequence, &row);
        next.head = head;
        entries.push(bytes);
        Ok(sequence)
    }
}

impl Write for BudgetLedger {
    type Job = Job;
    type Verdict = Result<u64, Error>;
    type Standing = Standing;

    fn write(&mut self, jobs: Vec<Job>) -> Vec<Result<u64, Error>> {
        if let Some(failed) = &self.failed {
            return vec![Err(failed.clone()); jobs.len()];
        }
        let (mut next, mut entries, count) = (self.standing, Vec::with_capacity(jobs.len()), jobs.len());
        let verdicts = jobs.into_iter().map(|job| self.apply(&mut next, job, &mut entries)).collect();
        if !entries.is_empty()
            && let Err(failed) = self.store.append(self.standing.head.sequence + 1, &entries)
        {
            // What was written is not known: nothing is acknowledged any more.
            self.failed = Some(failed.clone());
            return vec![Err(failed); count];
        }
        self.standing = next;
        verdicts
    }

    fn standing(&self) -> Standing {
        self.standing
    }
}

impl From<(u64, Row)> for Entry {
    fn from((sequence, row): (u64, Row)) -> Self {
        Self { sequence, act: row.act }
    }
}
