//! Policy: bars fixed before anything is measured, and the judgement of evidence by them.

mod bar;
mod document;
mod intent;
mod limit;
mod meaning;
mod requirement;
mod verdict;
mod waiver;

pub use bar::Bar;
pub use document::Policy;
pub use intent::{Confusion, Intent};
pub use limit::{Limit, Perturbation};
pub use requirement::{Amount, AmountUnit, Requirement, Requirements};
pub use verdict::{Unmet, Verdict};
pub use waiver::Waiver;

#[cfg(test)]
mod tests;
