//! What a budget's record comes to: terms, sums, open reservations and runs, checked entry by entry.

use std::collections::BTreeMap;
use std::path::Path;

use super::chain::{Chain, sealed};
use super::charge::{Charge, Spent};
use super::cost::Cost;
use super::entry::{BudgetEvent, ChainHead, ChargedEvent, RunMark};
use super::fault::{EntryFault, RecordFault};
use super::filter::Filter;
use super::terms::BudgetTerms;
use crate::Error;

/// The sums of a budget and the head of its record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BudgetTotals {
    pub(super) spent: Spent,
    pub(super) head: ChainHead,
}

/// What a record says, checked entry by entry.
pub(super) struct Replayed {
    pub(super) terms: BudgetTerms,
    pub(super) filter: Filter,
    pub(super) totals: BudgetTotals,
    /// Reservations neither answered nor given back: those before a crash, for good.
    pub(super) open: BTreeMap<u64, Charge>,
    pub(super) runs: BTreeMap<u64, Run>,
}

/// A run that was paid for.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) cost: Cost,
    pub(super) charge: Charge,
    pub(super) reached: Option<RunMark>,
}

impl Run {
    pub(super) fn new(name: String, cost: Cost, charge: Charge) -> Self {
        Self { name, cost, charge, reached: None }
    }

    /// Whether a mark is past the last.
    pub(super) fn is_behind(&self, mark: &RunMark) -> bool {
        self.reached.is_none_or(|reached| reached.steps < mark.steps)
    }
}

/// The first entry of a budget, sealed.
pub(super) fn genesis(terms: &BudgetTerms) -> Vec<u8> {
    let terms = BudgetTerms { order: Some(Filter::new(terms).order()), ..terms.clone() };
    sealed(&ChainHead::START, 0, &ChargedEvent::from(BudgetEvent::Opened { terms })).1
}

/// Reads a whole record and compares it with what the caller knows of it.
pub(super) fn replay(
    path: &Path,
    chain: Chain,
    terms: &BudgetTerms,
    known: Option<&ChainHead>,
) -> Result<Replayed, Error> {
    let damaged = |sequence: u64, fault: EntryFault| Error::BudgetDamaged {
        path: path.to_owned(),
        fault: RecordFault::Entry { sequence, fault },
    };
    let rolled_back = |found: &ChainHead| {
        Err(Error::BudgetRolledBack {
            path: path.to_owned(),
            known: known.map(ToString::to_string).unwrap_or_default(),
            found: found.to_string(),
        })
    };
    let mut replayed: Option<Replayed> = None;
    for row in chain {
        let (head, row) = row?;
        if known.is_some_and(|known| known.sequence == head.sequence && known.hash != head.hash) {
            return rolled_back(&head);
        }
        let checked = match &mut replayed {
            None => Replayed::begin(head, row).map(|first| replayed = Some(first)),
            Some(replayed) => replayed.follow(head, &row),
        };
        checked.map_err(|fault| damaged(head.sequence, fault))?;
    }
    let replayed = replayed.ok_or_else(|| damaged(0, EntryFault::Missing))?;
    if known.is_some_and(|known| known.sequence > replayed.totals.head.sequence) {
        return rolled_back(&replayed.totals.head);
    }
    same(path, &replayed.terms, terms)?;
    Ok(replayed)
}

impl Replayed {
    /// What the first entry says.
    pub(super) fn begin(head: ChainHead, row: ChargedEvent) -> Result<Self, EntryFault> {
        let BudgetEvent::Opened { terms } = row.event else { return Err(EntryFault::NoTerms) };
        terms.check().map_err(|_| EntryFault::BadTerms)?;
        let filter = Filter::new(&terms);
        let totals = BudgetTotals { spent: Spent::default(), head };
        Ok(Self { terms, filter, totals, open: BTreeMap::new(), runs: BTreeMap::new() })
    }

    /// Adds a later entry.
    pub(super) fn follow(&mut self, head: ChainHead, row: &ChargedEvent) -> Result<(), EntryFault> {
        let spent = &mut self.totals.spent;
        match &row.event {
            BudgetEvent::Reserved { .. } => {
                *spent = spent.plus(&row.charge).ok_or(EntryFault::Overflow)?;
                self.open.insert(head.sequence, row.charge);
            }
            BudgetEvent::Answered { reservation } => {
                self.open.remove(reservation).ok_or(EntryFault::AnswersNone)?;
            }
            BudgetEvent::GivenBack { reservation } => {
                let charge = self.open.remove(reservation).ok_or(EntryFault::GivesBackNone)?;
                *spent = spent.minus(&charge).ok_or(EntryFault::GivesBackMore)?;
            }
            BudgetEvent::Begun { run, cost } => {
                if self.runs.values().any(|known| known.name == *run) {
                    return Err(EntryFault::RunAgain);
                }
                *spent = spent.plus(&row.charge).ok_or(EntryFault::Overflow)?;
                self.runs.insert(head.sequence, Run::new(run.clone(), *cost, row.charge));
            }
            BudgetEvent::Reached { run, mark } => {
                let run = self.runs.get_mut(run).ok_or(EntryFault::NoRun)?;
                if !run.is_behind(mark) {
                    return Err(EntryFault::RunBack);
                }
                run.reached = Some(*mark);
            }
            BudgetEvent::Opened { .. } => return Err(EntryFault::TermsAgain),
        }
        self.totals.head = head;
        Ok(())
    }
}

/// Refuses terms other than those in the file.
fn same(path: &Path, stored: &BudgetTerms, given: &BudgetTerms) -> Result<(), Error> {
    let show = |delta: Option<underpin_core::Delta>| delta.map_or("nothing".into(), |delta| delta.to_string());
    let terms = [
        ("epsilon", stored.epsilon.to_string(), given.epsilon.to_string()),
        ("delta", stored.delta.to_string(), given.delta.to_string()),
        ("set_aside", show(stored.set_aside), show(given.set_aside)),
        ("order", format!("{:?}", stored.order), format!("{:?}", given.order.or(stored.order))),
        ("adjacency", format!("{:?}", stored.adjacency), format!("{:?}", given.adjacency)),
        ("unit", format!("{:?}", stored.unit), format!("{:?}", given.unit)),
    ];
    match terms.into_iter().find(|(_, stored, given)| stored != given) {
        None => Ok(()),
        Some((name, stored, given)) => Err(Error::OtherTerms { path: path.to_owned(), name, stored, given }),
    }
}
