//! Privacy loss distributions: discretisation, composition, ε and δ.

mod exact;
mod fourier;
mod gaussian;
mod losses;
mod subsampled;

pub(crate) use subsampled::Repeated;

#[cfg(test)]
mod tests;
