//! Privacy budget of a data file: what all runs on the same rows may spend together, kept in a file.

use std::path::PathBuf;
use std::sync::Arc;

use underpin_core::{Delta, Digest, Epsilon, Record};
use underpin_privacy::{Accountant, Adjacency, Budget, BudgetTerms, Cost};
use underpin_train::Payment;

use crate::Error;
use crate::config::Privacy;

/// Parameter: the ε that all runs on the same rows have spent together, by their budget file.
pub(crate) const ALL_EPSILON: &str = "training.budget.spent_epsilon";

/// Parameter: the δ that they have spent together.
pub(crate) const ALL_DELTA: &str = "training.budget.spent_delta";

/// Parameter: the ε of the whole budget.
pub(crate) const WHOLE_EPSILON: &str = "training.budget.epsilon";

/// Fraction of a budget's δ that runs may spend; the rest is for other costs and for the distance of noise from its ideal.
const SET_ASIDE: f64 = 0.99;

/// A privacy budget file: the ε and δ that all runs on the rows of one data file may spend together.
///
/// # What is charged
///
/// Before a model is trained privately, the file is charged with the run's whole ε and δ: the training by its ε at its δ
/// ([`Accountant::LossDistribution`]), the class counts of the model card by theirs. The ε of runs add up (basic
/// composition), and so do their δ. A run that does not fit is refused before it trains ([`Error::OverBudget`]).
///
/// Not charged: the shadow models and the poisoned models of the attacks, and the undefended baseline. None of them is
/// private, and none may be released.
///
/// # Which rows it is for
///
/// The file names the rows by the SHA-256 of the data file that trains (of several, by that of their digests one after the
/// other), so that runs add up whatever their seed, split and settings; a budget of another data file is refused
/// ([`Error::OtherRows`]). One unit of privacy is one row that contributes or does not.
///
/// # Limits
///
/// The same person's row in another data file is not found out. Whoever copies the file has two budgets. A run that was
/// charged and then fails, or is killed, stays charged; only a run whose state is kept can be taken up again.
///
/// # Examples
///
/// ```
/// use underpin::BudgetFile;
/// use underpin_core::{Delta, Epsilon};
///
/// // A file made when it is first used, for runs of epsilon 3 together.
/// let budget = BudgetFile { whole: Some((Epsilon::new(3.0)?, Delta::new(1e-4)?)), ..BudgetFile::new("patients.budget") };
/// # let _ = budget;
/// # Ok::<(), underpin_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetFile {
    /// The file; made if it is absent.
    pub path: PathBuf,
    /// What a new file holds, and an old one must; if absent, a new file holds what the run costs, the δ by a fiftieth
    /// more, and an old one may hold anything.
    pub whole: Option<(Epsilon, Delta)>,
}

impl BudgetFile {
    /// The budget in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), whole: None }
    }

    /// Opens the file, or makes it, for runs on the rows with this digest.
    pub(crate) fn open(&self, rows: Digest, privacy: &Privacy) -> Result<DataBudget, Error> {
        let unit = format!("one row of the data with SHA-256 {rows}");
        let budget = if self.path.exists() {
            let budget = Budget::open_as_made(&self.path, None)?;
            let terms = budget.terms();
            if terms.unit != unit || terms.adjacency != Adjacency::ZeroOut {
                let (found, needed) = (format!("{} ({})", terms.unit, terms.adjacency), unit);
                return Err(Error::OtherRows { path: self.path.clone(), found, needed });
            }
            if let Some((epsilon, delta)) = self.whole.filter(|whole| *whole != (terms.epsilon, terms.delta)) {
                let stored = (terms.epsilon, terms.delta);
                return Err(Error::OtherBudget { path: self.path.clone(), stored, given: (epsilon, delta) });
            }
            budget
        } else {
            let own = || Ok::<_, Error>((privacy.epsilon, Delta::new(privacy.delta.value() * 1.02)?));
            let (epsilon, delta) = self.whole.map_or_else(own, Ok)?;
            let set_aside = Some(Delta::new(delta.value() * SET_ASIDE)?);
            let left = (epsilon.value(), delta.value() * SET_ASIDE);
            if privacy.epsilon.value() > left.0 || privacy.delta.value() > left.1 {
                // Refused before the file is made: a run that cannot fit leaves none behind.
                let (asked, whole) =
                    ((privacy.epsilon.value(), privacy.delta.value()), (epsilon.value(), delta.value()));
                return Err(Error::OverBudget { path: self.path.clone(), asked, left, whole });
            }
            let terms =
                BudgetTerms { set_aside, adjacency: Adjacency::ZeroOut, unit, ..BudgetTerms::new(epsilon, delta) };
            Budget::create(&self.path, &terms)?
        };
        Ok(DataBudget { path: self.path.clone(), budget: Arc::new(budget) })
    }
}

/// The digest by which a budget names the rows of a run, of those of the files that train.
pub(crate) fn rows_of(files: &[Digest]) -> Digest {
    match files {
        [file] => *file,
        files => Digest::of(&files.iter().flat_map(|file| *file.bytes()).collect::<Vec<u8>>()),
    }
}

/// An open budget of the rows of a run.
#[derive(Debug)]
pub(crate) struct DataBudget {
    path: PathBuf,
    budget: Arc<Budget>,
}

impl DataBudget {
    /// Charges the class counts, and makes sure that training will fit beside them. `counts` names the counts' noise.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`]: then nothing is charged.
    pub(crate) fn begin(
        &self,
        privacy: &Privacy,
        training: Epsilon,
        counts: Option<(Epsilon, [u8; 32])>,
    ) -> Result<(), Error> {
        let (asked, delta) = (privacy.epsilon.value(), privacy.delta);
        let over = |error| match error {
            underpin_privacy::Error::OverBudget { .. } => self.over(asked, delta),
            error => error.into(),
        };
        let run = Cost::Approximate { epsilon: training, delta };
        let Some((epsilon, noise)) = counts else {
            // Of a run that is taken up again the cost is in the budget: whether it fits is asked when it pays.
            return Ok(());
        };
        let name = format!("class counts {}", Digest::new(noise));
        if !self.budget.has_paid(&name)? {
            self.budget.check_fits(&[Cost::Pure(epsilon), run]).map_err(over)?;
        }
        self.budget.pay_once(&name, Cost::Pure(epsilon)).map_err(over)
    }

    /// What pays for the training of the model.
    pub(crate) fn payment(&self, delta: Delta) -> Payment {
        Payment { budget: Arc::clone(&self.budget), accountant: Accountant::LossDistribution { delta } }
    }

    /// Puts on record what all runs on these rows have spent together, this one included.
    pub(crate) fn tell(&self, record: &mut Record) {
        let terms = self.budget.terms();
        let aside = terms.set_aside.map_or(0.0, Delta::value);
        record.set(ALL_EPSILON, (1.0 - self.budget.left()) * terms.epsilon.value());
        record.set(ALL_DELTA, (1.0 - self.budget.delta_left()) * aside);
        record.set(WHOLE_EPSILON, terms.epsilon.value());
    }

    /// The refusal of a run that asks for so much.
    pub(crate) fn over(&self, asked: f64, delta: Delta) -> Error {
        let terms = self.budget.terms();
        let aside = terms.set_aside.map_or(0.0, Delta::value);
        Error::OverBudget {
            path: self.path.clone(),
            asked: (asked, delta.value()),
            left: (self.budget.left() * terms.epsilon.value(), self.budget.delta_left() * aside),
            whole: (terms.epsilon.value(), terms.delta.value()),
        }
    }

    /// An error of training, with the budget's amounts where it is the budget's.
    pub(crate) fn explained(&self, error: Error, asked: f64, delta: Delta) -> Error {
        let trained = match &error {
            Error::Train(error) => Some(error),
            Error::Training { source, .. } => source.downcast_ref::<underpin_train::Error>(),
            _ => None,
        };
        match trained {
            Some(underpin_train::Error::Privacy(underpin_privacy::Error::OverBudget { .. })) => self.over(asked, delta),
            _ => error,
        }
    }
}
