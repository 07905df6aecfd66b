//! Privacy loss distributions: discretisation, composition, ε and δ.

mod atoms;
mod exact;
mod fourier;
mod gaussian;
mod losses;
mod mixture;
mod subsampled;

#[cfg(test)]
pub(crate) use exact::gaussian;
pub(crate) use mixture::{Leaf, Mixture};
pub(crate) use subsampled::Repeated;

#[cfg(test)]
mod tests;
