//! Evasion attacks (adversarial examples): inputs perturbed a little, to be misclassified.

mod ball;
mod patch;
mod pgd;
mod rays;
mod robust_accuracy;
mod square;
mod transfer;

pub use pgd::Pgd;
pub use rays::RayS;
pub use robust_accuracy::{Evaded, RobustAccuracy, accuracy_curve, judge, worst_case};
pub use square::Square;
pub use transfer::Transfer;
