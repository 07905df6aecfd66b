//! Payment of a run by a privacy budget: what is charged, and what is marked as the run goes on.

use std::sync::Arc;

use underpin_privacy::{Accountant, Budget, ChainHead, PaidRun, RunMark};

use crate::journal::Journal;
use crate::{Error, PaymentFault};

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
/// use underpin_privacy::{Accountant, Adjacency, Budget, BudgetTerms, NoiseSource};
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
/// let noise = NoiseSource::from_os()?;
/// let privacy = Privacy { payment: Some(payment), ..Privacy::flat(Epsilon::new(3.0)?, delta, 1.0, noise) };
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
    pub(crate) paid: Option<PaidRun>,
    /// The head that the budget must contain before another step is drawn.
    pub(crate) owed: Option<ChainHead>,
    /// Steps from one mark to the next.
    pub(crate) every: u64,
    /// Steps begun at which the next mark is due.
    pub(crate) next: u64,
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
            Some(head) => Err(unpaid(PaymentFault::Owed { head: *head })),
            None => Ok(()),
        }
    }

    /// Tells the budget how far the list of steps has come, where that is due.
    pub(crate) fn mark(&mut self, journal: &Journal, last: u64) -> Result<(), Error> {
        let Some(paid) = &mut self.paid else { return Ok(()) };
        let steps = journal.begun();
        if steps >= self.next {
            paid.mark(RunMark { steps, digest: journal.digest() })?;
            self.next = self.due(steps, last);
        }
        Ok(())
    }

    /// After a mark at `steps`: after so many more, and at the last one.
    pub(crate) fn due(&self, steps: u64, last: u64) -> u64 {
        if steps >= last { u64::MAX } else { steps.saturating_add(self.every).min(last) }
    }
}

pub(crate) const fn unpaid(fault: PaymentFault) -> Error {
    Error::Unpaid { fault }
}
