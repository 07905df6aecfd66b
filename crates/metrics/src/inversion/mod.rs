//! Model inversion: reconstructs what an input of each class looks like from the model.

mod gradient;
mod inversion_score;
mod query;
mod reconstructions;

pub use gradient::GradientInversion;
pub use inversion_score::InversionScore;
pub(crate) use inversion_score::likeness;
pub use query::QueryInversion;
pub use reconstructions::Reconstructions;
