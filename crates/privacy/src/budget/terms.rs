//! What a budget promises.

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::{Adjacency, Error};

/// Longest unit and label, in bytes.
pub(super) const MOST_TEXT: usize = 256;
/// Share of δ that pays for approximate costs where nothing else is set aside: enough for the samplers' distances.
const LEAST_SHARE: f64 = 1.0 / 1_048_576.0;

/// What all answers of a [`crate::Budget`] together promise: (ε, δ)-privacy of one unit, under one neighbouring relation.
///
/// Fixed when the budget is made. Costs must hold under [`adjacency`](Self::adjacency) and for
/// [`unit`](Self::unit).
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The whole ε, at most 1000.
    pub epsilon: Epsilon,
    /// The whole δ.
    pub delta: Delta,
    /// Part of δ that [`crate::Cost::Approximate`] may spend; less than δ. The rest pays for the composition, and the
    /// less it is, the less other costs fit. `None` is a millionth (`2^-20`) of δ: enough for the samplers' distances
    /// that [`crate::Cost::SubsampledGaussian`] charges.
    pub set_aside: Option<Delta>,
    /// What counts as neighbours.
    pub adjacency: Adjacency,
    /// Whose data is protected, and in which data set: `one row of adult.csv`. At most 256 bytes; may be empty.
    pub unit: String,
}

impl Terms {
    /// ε at δ for one row more or less, nothing set aside for approximate costs, unit not named.
    pub const fn new(epsilon: Epsilon, delta: Delta) -> Self {
        Self { epsilon, delta, set_aside: None, adjacency: Adjacency::AddOrRemove, unit: String::new() }
    }

    /// The part of δ that costs may spend.
    pub(super) fn pool(&self) -> f64 {
        self.set_aside.map_or(self.delta.value() * LEAST_SHARE, Delta::value)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        within("epsilon", self.epsilon.value(), "(0, 1000]", |epsilon| epsilon <= 1000.0)?;
        within("set_aside", self.pool(), "(0, delta)", |pool| pool < self.delta.value())?;
        short(&self.unit)
    }
}

/// Refuses a text that is too long.
pub(super) fn short(text: &str) -> Result<(), Error> {
    if text.len() <= MOST_TEXT { Ok(()) } else { Err(Error::TextTooLong { bytes: text.len(), at_most: MOST_TEXT }) }
}
