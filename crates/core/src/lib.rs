#![doc = include_str!("../README.md")]

mod access;
mod access_level;
mod attack;
mod defence;
mod digest;
mod error;
mod evidence;
mod examples;
mod float;
mod number;
mod policy;
mod score;
mod seed;
mod sketch;
mod taxonomy;
mod words;

pub use access::{Denied, LossGradient, Predict};
pub use access_level::Access;
pub use attack::{Attack, Perturbed, Trigger};
pub use defence::{Audited, Sanitizer, Trainer};
pub use digest::Digest;
pub use error::{BarFault, Error, ErrorOrigin, OutOfRange, RequirementFault, WaiverFault};
pub use evidence::{
    About, Attempt, Control, Direction, Evidence, Interval, Measurement, Metric, Point, Quantity, Record, Series,
    Shortfall, Subject, System, Unit, Value,
};
pub use examples::{Disclosure, Examples, Inputs, Outputs, Shape};
pub use number::{Confidence, Delta, Epsilon, Norm, Radius};
pub use policy::{
    Amount, AmountUnit, Bar, Confusion, Intent, Limit, Perturbation, Policy, Requirement, Requirements, Unmet, Verdict,
    Waiver,
};
pub use score::{resilience, vulnerability, weakest_link};
pub use seed::Seed;
pub use sketch::{FeatureSketch, Sketch};
pub use taxonomy::{Concern, Identifiers, Phase, Threat};
