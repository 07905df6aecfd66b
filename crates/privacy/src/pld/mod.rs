//! Privacy loss distributions: discretisation, composition, ε and δ.

mod atoms;
mod composition;
mod cumulants;
mod exact;
mod fourier;
mod gaussian;
mod leaf;
mod losses;
mod moments;
mod nested;
mod rows;
mod swapped;
mod tails;

pub(crate) use composition::Composition;
pub(crate) use exact::{gaussian, gaussian_delta};
pub(crate) use leaf::Leaf;
pub(crate) use losses::Side;

#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;
