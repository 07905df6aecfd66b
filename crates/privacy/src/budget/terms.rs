//! What a budget promises.

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::{Adjacency, Error};

/// Longest unit and label, in bytes.
pub(super) const MOST_TEXT: usize = 256;

/// What all answers of a [`crate::Budget`] together promise: (ε, δ)-privacy of one unit, under one neighbouring relation.
///
/// Fixed when the budget is made. Costs must hold under [`adjacency`](Self::adjacency) and for
/// [`unit`](Self::unit).
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetTerms {
    /// The whole ε, at most 1000.
    pub epsilon: Epsilon,
    /// The whole δ.
    pub delta: Delta,
    /// Part of δ that [`crate::Cost::Approximate`] may spend, at most 99 % of it; `None` is nothing. A millionth (`2^-20`)
    /// of δ pays for the noise's distance from its ideal ([`crate::Cost::SubsampledGaussian`]). The rest pays for the
    /// composition, and the less it is, the less other costs fit.
    pub set_aside: Option<Delta>,
    /// Order of the Rényi filter, in `[1.01, 1e15]`: costs are compared at this order alone, for the budget's life.
    /// `None` is the one at which the most [`crate::Cost::Concentrated`] fits, whatever order a file has already;
    /// [`suited_to`](Self::suited_to) finds another.
    pub order: Option<f64>,
    /// What counts as neighbours.
    pub adjacency: Adjacency,
    /// Whose data is protected, and in which data set: `one row of adult.csv`. At most 256 bytes; may be empty.
    pub unit: String,
}

impl BudgetTerms {
    /// ε at δ for one row more or less, nothing set aside for approximate costs, unit and order not named.
    pub const fn new(epsilon: Epsilon, delta: Delta) -> Self {
        Self { epsilon, delta, set_aside: None, order: None, adjacency: Adjacency::AddOrRemove, unit: String::new() }
    }

    /// The part of δ that approximate costs may spend.
    pub(super) fn pool(&self) -> f64 {
        self.set_aside.map_or(0.0, Delta::value)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        within("epsilon", self.epsilon.value(), "(0, 1000]", |epsilon| epsilon <= 1000.0)?;
        within("order", self.order.unwrap_or(2.0), "[1.01, 1e15]", |order| (1.01..=1e15).contains(&order))?;
        within("set_aside", self.pool(), "(0, 0.99 delta]", |pool| pool <= 0.99 * self.delta.value())?;
        short(&self.unit)
    }
}

/// Refuses a text that is too long.
pub(super) fn short(text: &str) -> Result<(), Error> {
    if text.len() <= MOST_TEXT { Ok(()) } else { Err(Error::TextTooLong { bytes: text.len(), at_most: MOST_TEXT }) }
}
