//! Model inversion: what does the model think its classes look like?

mod gradient;
mod measure;
mod query;

use underpin_core::Inputs;

pub use gradient::GradientInversion;
pub use measure::InversionScore;
pub(crate) use measure::likeness;
pub use query::QueryInversion;

/// One reconstruction per class.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstructions {
    /// `[class, ...shape]`, features in `[0, 1]`.
    pub inputs: Inputs,
    /// Queries that the attack made, over all classes.
    pub queries: u64,
}
