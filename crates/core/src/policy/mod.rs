//! Policy: bars fixed before anything is measured, and the judgement of evidence by them.

mod bar;
mod document;
mod intent;
mod verdict;

pub use bar::{Bar, Limit, Perturbation};
pub use document::Policy;
pub use intent::{Confusion, Intent};
pub use verdict::{Unmet, Verdict};

#[cfg(test)]
mod tests;
