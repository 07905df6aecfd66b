//! Membership inference: was this row trained on?

mod gap;
mod gaussian;
mod lira;
mod metrics;
mod scores;

pub use gap::LabelOnlyGap;
pub use gaussian::Variance;
pub use lira::{Lira, Reference, Shadow, Shadows};
pub use metrics::{MembershipAdvantage, MembershipAuc, Threshold, TprAtFpr};
pub use scores::MembershipScores;
