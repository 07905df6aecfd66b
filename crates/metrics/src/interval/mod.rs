//! Confidence intervals: for fractions, differences of fractions, areas under ROC curves, and by bootstrap for the rest.

mod auc;
mod beta;
mod bootstrap;
mod proportion;

pub use auc::auc;
pub(crate) use auc::mann_whitney;
pub(crate) use beta::normal_quantile;
pub use bootstrap::{Bootstrap, bootstrap};
pub use proportion::{Proportion, clopper_pearson, difference, paired_difference};
pub(crate) use proportion::{binomial_tail, lower_bound};
