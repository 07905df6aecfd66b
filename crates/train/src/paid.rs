//! Paid runs: an engine whose whole run a privacy budget pays for.

use burn::module::Module;
use underpin_privacy::{Batch, RunMark};

use crate::canary::Canaries;
use crate::charge::{Charge, unpaid};
use crate::journal::Journal;
use crate::{Clipping, Engine, Error, Gradient, Payment, PaymentFault};

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
    /// checkpoint and list of one moment together is found out by a [`underpin_privacy::ChainHead`] kept elsewhere alone
    /// ([`underpin_privacy::Budget::open`]). A run that ends early stays charged whole.
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
            return Err(unpaid(PaymentFault::TooLate));
        }
        if let Some(known) = &self.charge.owed {
            budget.check_contains(known)?;
        }
        if begun > 0 && !self.steps.are_paid_by(budget)? {
            return Err(unpaid(PaymentFault::BegunUnpaid { begun }));
        }
        let mut paid = self.steps.pay(budget, *accountant, self.width(model)?)?;
        let reached = paid.reached();
        match &self.journal {
            Some(journal) => journal.check(reached.as_ref())?,
            None if paid.was_begun() => {
                return Err(unpaid(PaymentFault::NotKept));
            }
            // No list records what is released: the mark is at the last step, so that no list of steps is ever taken for its own.
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
