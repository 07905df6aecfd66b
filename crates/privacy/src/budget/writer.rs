//! Writes a budget's record and keeps its sums: one job after the other, no threads.

use std::collections::BTreeMap;

use super::chain::sealed;
use super::charge::Charge;
use super::cost::Cost;
use super::entry::{BudgetEvent, ChargedEvent, RunMark};
use super::filter::Filter;
use super::replay::{BudgetTotals, Replayed, Run};
use super::store::EntryStore;
use crate::Error;
use crate::durable::BatchWriter;

/// What is to be recorded.
pub(super) enum BudgetJob {
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
    Mark {
        run: u64,
        mark: RunMark,
    },
    /// Nothing: whoever waits for it knows that all before is kept.
    Sync,
}

/// Checks each job against the filter and appends the entry that records it.
pub(super) struct BudgetWriter {
    filter: Filter,
    totals: BudgetTotals,
    open: BTreeMap<u64, Charge>,
    runs: BTreeMap<u64, Run>,
    store: Box<dyn EntryStore>,
    /// Why nothing more is recorded.
    failed: Option<Error>,
}

impl BudgetWriter {
    pub(super) fn new(replayed: Replayed, store: Box<dyn EntryStore>) -> Self {
        let Replayed { filter, totals, open, runs, .. } = replayed;
        Self { filter, totals, open, runs, store, failed: None }
    }

    /// The totals after a job, the entry that records it, and its verdict.
    fn apply(&mut self, next: &mut BudgetTotals, job: BudgetJob, entries: &mut Vec<Vec<u8>>) -> Result<u64, Error> {
        let sequence = next.head.sequence + 1;
        let row = match job {
            BudgetJob::Reserve { cost, charge, label } => {
                next.spent = self.filter.add(&next.spent, &charge)?;
                self.open.insert(sequence, charge);
                ChargedEvent { event: BudgetEvent::Reserved { label, cost }, charge }
            }
            BudgetJob::Answer { reservation } => {
                self.open.remove(&reservation);
                ChargedEvent::from(BudgetEvent::Answered { reservation })
            }
            BudgetJob::GiveBack { reservation } => {
                if let Some(charge) = self.open.remove(&reservation) {
                    // What was added can be taken away.
                    next.spent = next.spent.minus(&charge).unwrap_or(next.spent);
                }
                ChargedEvent::from(BudgetEvent::GivenBack { reservation })
            }
            BudgetJob::Begin { name, cost, charge } => {
                if let Some((sequence, run)) = self.runs.iter().find(|(_, run)| run.name == name) {
                    let (paid, asked) = (format!("{:?}", run.cost), format!("{cost:?}"));
                    let covered = charge.is_within(&run.charge);
                    return if covered { Ok(*sequence) } else { Err(Error::OtherCost { run: name, paid, asked }) };
                }
                next.spent = self.filter.add(&next.spent, &charge)?;
                self.runs.insert(sequence, Run::new(name.clone(), cost, charge));
                ChargedEvent { event: BudgetEvent::Begun { run: name, cost }, charge }
            }
            BudgetJob::Mark { run, mark } => {
                let behind = |steps| Error::RunBehind { steps: mark.steps, reached: steps };
                let known = self.runs.get_mut(&run).ok_or_else(|| behind(0))?;
                if known.reached == Some(mark) {
                    return Ok(next.head.sequence);
                }
                if !known.is_behind(&mark) {
                    return Err(behind(known.reached.map_or(0, |reached| reached.steps)));
                }
                known.reached = Some(mark);
                ChargedEvent::from(BudgetEvent::Reached { run, mark })
            }
            BudgetJob::Sync => return Ok(next.head.sequence),
        };
        let (head, bytes) = sealed(&next.head, sequence, &row);
        next.head = head;
        entries.push(bytes);
        Ok(sequence)
    }
}

impl BatchWriter for BudgetWriter {
    type Job = BudgetJob;
    type Verdict = Result<u64, Error>;
    type Snapshot = BudgetTotals;

    fn write(&mut self, jobs: Vec<BudgetJob>) -> Vec<Result<u64, Error>> {
        if let Some(failed) = &self.failed {
            return vec![Err(failed.clone()); jobs.len()];
        }
        let (mut next, mut entries, count) = (self.totals, Vec::with_capacity(jobs.len()), jobs.len());
        let verdicts = jobs.into_iter().map(|job| self.apply(&mut next, job, &mut entries)).collect();
        if !entries.is_empty()
            && let Err(failed) = self.store.append(self.totals.head.sequence + 1, &entries)
        {
            // What was written is not known: nothing is acknowledged any more.
            self.failed = Some(failed.clone());
            return vec![Err(failed); count];
        }
        self.totals = next;
        verdicts
    }

    fn snapshot(&self) -> BudgetTotals {
        self.totals
    }
}
