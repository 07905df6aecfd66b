//! Privacy loss distributions: discretisation, composition, ε and δ.

mod exact;
mod fourier;
mod gaussian;
mod losses;
mod subsampled;

pub(crate) use fourier::epsilon;
pub(crate) use gaussian::Cells;
pub(crate) use losses::{Losses, Side};
pub(crate) use subsampled::Repeated;
