//! Model extraction (model stealing): a surrogate trained on the answers of the model.

mod fidelity;
mod knockoff;

pub use fidelity::{Agreement, Fidelity, FidelityGain, agreement, fidelity_curve};
pub use knockoff::{Answered, ExtractedModel, Knockoff};
