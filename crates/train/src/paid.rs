//! Runs that a budget pays for.

use std::sync::Arc;

use burn::module::Module;
use underpin_privacy::{Accountant, Batch, Budget, ChainHead, PaidRun, RunMark};

use crate::canary::Canaries;
use crate::journal::Journal;
use crate::{Clipping, Engine, Error, Gradient};

/// What a run is paid from.
///
/// # Examples
///
/// Training that is refused where the budget of its data does not hold it:
///
/// ```
/// use std::sync::Arc;
///
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Accountant, Adjacency, Budget, SecretKey, BudgetTerms};
/// use underpin_train::{Payment, Privacy};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("patients.budget");
/// let (whole, delta) = (Delta::new(1e-5)?, Delta::new(2e-6)?);
/// let terms = BudgetTerms {
///     adjacency: Adjacency::ZeroOut,
///     set_aside: Some(Delta::new(5e-6)?), // for runs by their loss distribution
///     unit: "one row of patients.csv".into(),
///     ..BudgetTerms::new(Epsilon::new(5.0)?, whole)
/// };
/// let budget = Arc::new(Budget::create(&path, &terms)?);
/// let payment = Payment { budget, accountant: Accountant::LossDistribution { delta } };
/// let key = Arc::new(SecretKey::from_os()?);
/// let privacy = Privacy { payment: Some(payment), ..Privacy::flat(Epsilon::new(3.0)?, delta, 1.0, key) };
/// # let _ = privacy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Payment {
    /// The budget, for one unit that contributes or does not
    /// ([`Adjacency::ZeroOut`](underpin_privacy::Adjacency::ZeroOut)).
    pub budget: Arc<Budget>,
    /// By which account the run's cost is stated.
    pub accountant: Accountant,
}

/// What a run owes to a budget, and has paid.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    paid: Option<PaidRun>,
    /// The head that the budget must contain before another step is drawn.
    pub(crate) owed: Option<ChainHead>,
    /// Steps from one mark to the next.
    pub(crate) every: u64,
    /// Steps begun at which the next mark is due.
    next: u64,
}

impl Charge {
    pub(crate) const fn are_paid(&self) -> bool {
        self.paid.is_some()
    }

    /// What a checkpoint says of the budget.
    pub(crate) fn head(&self) -> Option<ChainHead> {
        self.paid.as_ref().map(PaidRun::head).or(self.owed)
    }

    /// Refuses to draw for a run that a budget paid for before, and does not now.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.owed {
            Some(head) => Err(unpaid(format!("the run's budget, at {head} or later, must pay before the next step"))),
            None => Ok(()),
        }
    }

    /// Tells the budget how far the list of steps has come, where that is due.
    fn mark(&mut self, journal: &Journal, last: u64) -> Result<(), Error> {
        let Some(paid) = &mut self.paid else { return Ok(()) };
        let steps = journal.begun();
        if steps >= self.next {
            paid.mark(RunMark { steps, digest: journal.digest() })?;
            self.next = self.due(steps, last);
        }
        Ok(())
    }

    /// After a mark at `steps`: after so many more, and at the last one.
    fn due(&self, steps: u64, last: u64) -> u64 {
        if steps >= last { u64::MAX } else { steps.saturating_add(self.every).min(last) }
    }
}

fn unpaid(fault: impl Into<String>) -> Error {
    Error::Unpaid { fault: fault.into() }
}

impl Engine {
    /// Has a budget pay for the whole run of `model`, once over all its processes. A run that is [kept](Self::keep) on
    /// disk is kept first, and then paid for, in each of its processes.
    ///
    /// The budget records how far the list of steps has come: at the first step, every [`Checkpoints::every`] steps, and
    /// at the last, each time before that step's noise is added. That is one write to the budget's file besides the one
    /// that each step makes to its list.
    ///
    /// # Guarantees
    ///
    /// 1. The cost of all steps is spent before one is drawn; where it does not fit, none is
    ///    (`a_spent_budget_refuses_before_anything_is_drawn`).
    /// 2. Killed at any moment and taken up again, a run is charged once (`a_killed_run_is_charged_once`).
    /// 3. A run is taken up with the budget that paid for it, with all that its checkpoint knows of: not with another, an
    ///    older copy, or none (`a_budget_rolled_back_or_swapped_is_refused`).
    /// 4. A list of steps that was deleted, or restored from before the budget's last mark, is refused, and so is the same
    ///    run begun anew elsewhere, on disk or not (`a_list_of_steps_rolled_back_is_refused`).
    /// 5. A step that was not paid for, past the last or of more coordinates, is refused before its noise
    ///    (`a_step_beyond_what_was_paid_for_is_refused`).
    ///
    /// # Limits
    ///
    /// A list restored from after the last mark is not found out: with `every` = 1 there is none. Who restores budget,
    /// checkpoint and list of one moment together is found out by a [`ChainHead`] kept elsewhere alone
    /// ([`Budget::open`]). A run that ends early stays charged whole.
    ///
    /// # Errors
    ///
    /// Those of [`underpin_privacy::PrivateSteps::pay`]; [`underpin_privacy::Error::BudgetRolledBack`] for a budget that
    /// lacks what the checkpoint knows; [`Error::Checkpoint`] for a list of steps that is not the budget's;
    /// [`Error::Unpaid`] for a run without noise, one that has begun unpaid, is paid for already, or was begun before and
    /// is not kept.
    ///
    /// [`Checkpoints::every`]: crate::Checkpoints::every
    pub fn pay<M: Module>(mut self, model: &M, payment: &Payment) -> Result<Self, Error> {
        let Payment { budget, accountant } = payment;
        let begun = self.journal.as_ref().map_or(self.taken, Journal::begun);
        if self.charge.are_paid() || self.taken > self.applied {
            return Err(unpaid("it is paid for already, or a step is drawn: a budget pays once, before that"));
        }
        if let Some(known) = &self.charge.owed {
            budget.check_contains(known)?;
        }
        if begun > 0 && !self.steps.are_paid_by(budget)? {
            return Err(unpaid(format!("{begun} steps have begun, and this budget has not paid for them")));
        }
        let mut paid = self.steps.pay(budget, *accountant, self.width(model)?)?;
        let reached = paid.reached();
        match &self.journal {
            Some(journal) => journal.check(reached.as_ref())?,
            None if paid.was_begun() => {
                return Err(unpaid(
                    "it was begun before, and no list of steps says what was released: keep it on disk",
                ));
            }
            // Nothing will tell what is released: as far as it can be, so that no list of steps is ever taken for its own.
            None => paid.mark(RunMark { steps: self.method.steps, digest: [0; 32] })?,
        }
        let next = reached.map_or(1, |mark| self.charge.due(mark.steps, self.method.steps));
        self.charge = Charge { paid: Some(paid), owed: None, next, ..self.charge };
        Ok(self)
    }

    /// Numbers that each step releases.
    fn width<M: Module>(&self, model: &M) -> Result<u64, Error> {
        let count = u64::from(matches!(self.method.clipping, Clipping::Adaptive { .. }));
        let canaries = self.canaries.as_ref().map_or(0, Canaries::count) as u64;
        Ok(Gradient::none(model)?.values().len() as u64 + count + canaries)
    }

    /// Sees to it that a step is paid for, and on the disk, before its noise is drawn.
    pub(crate) fn begin(&mut self, step: u64, ticket: &Batch, sum: &[f32]) -> Result<(), Error> {
        self.charge.check()?;
        if let Some(paid) = &self.charge.paid {
            paid.check(step, sum.len() as u64)?;
        }
        if let Some(journal) = &mut self.journal {
            journal.begin(step, self.steps.seal(ticket, sum))?;
            self.charge.mark(journal, self.method.steps)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "paid_tests.rs"]
pub(crate) mod tests;
