//! Paid runs: whole training runs that a budget pays for once, over however many processes they take.

use std::fmt;
use std::sync::Arc;

use underpin_core::Delta;

use crate::budget::{Budget, BudgetEvent, ChainHead, Cost, RunMark};
use crate::error::within;
use crate::private_steps::NOISE_FRACTION;
use crate::rounded::DISTANCE;
use crate::{Adjacency, CorrelatedSteps, Error, Event, PrivateSteps};

/// By which account a run's cost is stated to a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Accountant {
    /// By its Rényi divergence at the budget's order. Adds up with other costs of that kind;
    /// [`crate::BudgetTerms::suited_to`] chooses an order that suits.
    Renyi,
    /// As one (ε, δ)-private answer, by privacy loss distributions: the tighter of the two for one run alone, or a few.
    /// Needs [`crate::BudgetTerms::set_aside`].
    LossDistribution {
        /// The run's δ.
        delta: Delta,
    },
}

/// A run that a budget has paid for, whole: [`PrivateSteps::pay`], [`CorrelatedSteps::pay`].
///
/// A run is named by its key. Begun in one process and taken up in another it is one run, spent once; nothing of it is
/// ever given back, since who stops a run early has seen what it gave.
///
/// # Guarantees
///
/// 1. The cost is that of the run's own sampler, noise, steps and coordinates, in the budget before this value exists;
///    a run that does not fit is refused (`a_run_that_does_not_fit_is_refused`).
/// 2. It is spent once, however often the run is taken up, in this process and others (`a_run_is_paid_for_once`).
/// 3. A step beyond those paid for, and one of more coordinates, are refused (`no_step_passes_what_was_paid_for`).
/// 4. A mark, once taken, is in the file, and no other list of steps can take its place (`a_run_never_goes_back`).
/// 5. One value at a time stands for a run (`a_run_is_paid_for_once`).
/// 6. Only a budget for one row that contributes or does not ([`Adjacency::ZeroOut`]) pays: the divisor of the averages
///    reveals the number of rows (`a_budget_of_another_relation_does_not_pay`).
///
/// # Limits
///
/// The budget's unit is a text; that the run's rows are of that unit is the caller's word. Other answers may be paid for
/// between the run's steps: Rényi costs hold step by step, and (ε, δ)-private interactive mechanisms compose concurrently
/// as they do one after the other (Vadhan and Zhang, STOC 2023; Haney et al., CCS 2023, with costs chosen on the way).
pub struct PaidRun {
    budget: Arc<Budget>,
    sequence: u64,
    steps: u64,
    coordinates: u64,
    reached: Option<RunMark>,
    origin: Origin,
}

/// Whether a run began now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    New,
    Found,
}

impl PaidRun {
    /// The last mark; none before the first.
    pub const fn reached(&self) -> Option<RunMark> {
        self.reached
    }

    /// Whether the budget had paid for it before.
    pub fn was_begun(&self) -> bool {
        self.origin == Origin::Found
    }

    /// The head of the budget's record, on disk.
    pub fn head(&self) -> ChainHead {
        self.budget.head()
    }

    /// Refuses a step, from 1, that was not paid for.
    ///
    /// # Errors
    ///
    /// [`Error::StepsExhausted`] for one past the last; [`Error::OutOfRange`] for more coordinates than were paid for.
    pub fn check(&self, step: u64, coordinates: u64) -> Result<(), Error> {
        if step > self.steps {
            return Err(Error::StepsExhausted { max_steps: self.steps });
        }
        let paid = "at most those that the budget paid for";
        within("coordinates of a step", coordinates as f64, paid, |_| coordinates <= self.coordinates)?;
        Ok(())
    }

    /// Records how far the run has come; in the file, and the file synchronised, when it returns. The same mark again is
    /// nothing new.
    ///
    /// # Errors
    ///
    /// [`Error::RunBehind`] for a mark that is not past the last one; as for [`Budget::reserve_for`] when the file
    /// cannot be written.
    pub fn mark(&mut self, mark: RunMark) -> Result<(), Error> {
        self.budget.mark_run(self.sequence, mark)?;
        self.reached = Some(mark);
        Ok(())
    }
}

impl fmt::Debug for PaidRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, sequence, steps, coordinates, reached, .. } = self;
        let mut f = f.debug_struct("PaidRun");
        f.field("budget", budget).field("sequence", sequence).field("steps", steps);
        f.field("coordinates", coordinates).field("reached", &reached.map(|mark| mark.steps)).finish_non_exhaustive()
    }
}

impl Drop for PaidRun {
    fn drop(&mut self) {
        self.budget.running().remove(&self.sequence);
    }
}

impl PrivateSteps {
    /// Has `budget` pay for the whole run, each of whose steps releases at most `coordinates` numbers. Before the first
    /// draw, and again when the run is taken up.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`] when it does not fit; [`Error::OtherRelation`] for a budget that is not for
    /// [`Adjacency::ZeroOut`]; [`Error::OtherCost`] when the run was paid for, but less; [`Error::RunInUse`] while it is
    /// under way in this process; [`Error::OutOfRange`] for more coordinates than a millionth of the run's δ pays for;
    /// and as for [`Budget::reserve_for`] when the file cannot be written.
    pub fn pay(&self, budget: &Arc<Budget>, accountant: Accountant, coordinates: u64) -> Result<PaidRun, Error> {
        let (mechanism, steps) = (self.mechanism(), self.max_steps());
        let cost = match accountant {
            Accountant::Renyi => mechanism.cost(steps, coordinates),
            Accountant::LossDistribution { delta } => {
                approximate(&mechanism.event().repeated(steps), delta, steps as f64 * coordinates as f64)?
            }
        };
        begin(budget, self.fingerprint(), cost, steps, coordinates)
    }

    /// Whether `budget` has paid for this run.
    ///
    /// # Errors
    ///
    /// As for [`Budget::trail`].
    pub fn is_paid_by(&self, budget: &Budget) -> Result<bool, Error> {
        budget.has_begun(&name(self.fingerprint()))
    }
}

impl CorrelatedSteps {
    /// Has `budget` pay for the whole run, which costs what one Gaussian mechanism does. As for [`PrivateSteps::pay`].
    ///
    /// # Errors
    ///
    /// As for [`PrivateSteps::pay`].
    pub fn pay(&self, budget: &Arc<Budget>, accountant: Accountant, coordinates: u64) -> Result<PaidRun, Error> {
        let (noise_multiplier, steps) = (self.mechanism().noise_multiplier(), self.max_steps());
        let cost = match accountant {
            // One draw of everyone; the noise's distance is that of all coordinates of all steps.
            Accountant::Renyi => Cost::SubsampledGaussian {
                sampling_rate: 1.0,
                noise_multiplier,
                steps: 1,
                coordinates: steps.saturating_mul(coordinates),
            },
            Accountant::LossDistribution { delta } => {
                approximate(&Event::Gaussian { noise_multiplier }, delta, steps as f64 * coordinates as f64)?
            }
        };
        begin(budget, self.fingerprint(), cost, steps, coordinates)
    }

    /// Whether `budget` has paid for this run.
    ///
    /// # Errors
    ///
    /// As for [`Budget::trail`].
    pub fn is_paid_by(&self, budget: &Budget) -> Result<bool, Error> {
        budget.has_begun(&name(self.fingerprint()))
    }
}

/// The cost of `event` as a whole, when it draws `drawn` numbers: a millionth of δ must pay for their distance.
fn approximate(event: &Event, delta: Delta, drawn: f64) -> Result<Cost, Error> {
    let cost = event.cost(delta, Adjacency::ZeroOut)?;
    if let Cost::Approximate { epsilon, .. } = cost {
        let distance = (1.0 + libm::exp(epsilon.value())) * drawn * DISTANCE;
        let range = "what a millionth of delta pays for";
        within("coordinates of all steps", drawn, range, |_| distance <= delta.value() * NOISE_FRACTION * 0.999)?;
    }
    Ok(cost)
}

/// What a run is called in a budget's record.
fn name(fingerprint: &[u8; 32]) -> String {
    format!("run {}", blake3::Hash::from_bytes(*fingerprint).to_hex())
}

fn begin(
    budget: &Arc<Budget>,
    fingerprint: &[u8; 32],
    cost: Cost,
    steps: u64,
    coordinates: u64,
) -> Result<PaidRun, Error> {
    let adjacency = budget.terms().adjacency;
    if adjacency != Adjacency::ZeroOut {
        return Err(Error::OtherRelation { cost: "a run of training", adjacency });
    }
    let name = name(fingerprint);
    // Runs begin one after the other, so that what lies past the head began now.
    let mut running = budget.running();
    let before = budget.head().sequence();
    let sequence = budget.begin_run(&name, cost)?;
    if !running.insert(sequence) {
        return Err(Error::RunInUse { run: name });
    }
    drop(running);
    let origin = if sequence > before { Origin::New } else { Origin::Found };
    let mut run = PaidRun { budget: Arc::clone(budget), sequence, steps, coordinates, reached: None, origin };
    if run.was_begun() {
        for entry in budget.trail()? {
            match entry?.event {
                BudgetEvent::Reached { run: of, mark } if of == sequence => run.reached = Some(mark),
                _ => {}
            }
        }
    }
    Ok(run)
}

impl Budget {
    /// Spends a cost under a name, once: the same name again, in this process or a later one, costs nothing. Never given
    /// back.
    ///
    /// For an answer that may be worked out again, with the same noise on the same data: the name must be one that no
    /// other answer has, such as the [`fingerprint`](crate::SecretKey::fingerprint) of the noise's key, which depends on
    /// data and question.
    ///
    /// # Errors
    ///
    /// As for [`reserve_for`](Self::reserve_for); [`Error::OtherCost`] when less was spent under that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::{Delta, Epsilon};
    /// use underpin_privacy::{Budget, Cost};
    ///
    /// let budget = Budget::new(Epsilon::new(1.0)?, Delta::new(1e-6)?)?;
    /// let cost = Cost::Pure(Epsilon::new(0.75)?);
    /// budget.pay_once("counts a1f0", cost)?;
    /// budget.pay_once("counts a1f0", cost)?; // the same answer again
    /// assert!(budget.pay_once("counts 77b2", cost).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pay_once(&self, name: &str, cost: Cost) -> Result<(), Error> {
        self.begin_run(name, cost).map(drop)
    }

    /// Whether a cost was spent under that name ([`pay_once`](Self::pay_once)).
    ///
    /// # Errors
    ///
    /// As for [`trail`](Self::trail).
    pub fn has_paid(&self, name: &str) -> Result<bool, Error> {
        self.has_begun(name)
    }
}

#[cfg(test)]
#[path = "paid_run_tests.rs"]
mod tests;
