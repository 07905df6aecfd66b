//! Privacy loss distributions: discretisation, composition, ε and δ.

mod fourier;
mod gaussian;
mod losses;
mod subsampled;

pub(crate) use fourier::Composed;
pub(crate) use gaussian::Cells;
pub(crate) use subsampled::epsilon as subsampled_gaussian;
pub(crate) use losses::{Losses, Side};
