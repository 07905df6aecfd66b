//! Outcome of an inversion attack.

use underpin_core::Inputs;

/// Outcome of an inversion attack: one reconstruction per class.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstructions {
    /// `[class, ...shape]`, features in `[0, 1]`.
    pub inputs: Inputs,
    /// Queries that the attack made, over all classes.
    pub queries: u64,
}
