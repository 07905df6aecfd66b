#![doc = include_str!("../README.md")]

mod attack;
mod defence;
mod digest;
mod error;
mod evidence;
mod examples;
mod float;
mod measurement;
mod policy;
mod quantity;
mod score;
mod sketch;
mod taxonomy;

pub use attack::{Attack, Denied, LossGradient, Perturbed, Predict, Trigger};
pub use defence::{Audited, Point, Record, Sanitizer, Series, Trainer, Value};
pub use digest::Digest;
pub use error::{Error, ErrorOrigin, OutOfRange};
pub use evidence::{Evidence, Subject};
pub use examples::{Disclosure, Examples, Inputs, Outputs, Shape};
pub use measurement::{About, Control, Direction, Interval, Measurement, Metric, Quantity, System, Unit};
pub use policy::{Bar, Confusion, Intent, Limit, Perturbation, Policy, Unmet, Verdict};
pub use quantity::{Confidence, Delta, Epsilon, Norm, Radius, Seed};
pub use score::{resilience, vulnerability, weakest_link};
pub use sketch::{FeatureSketch, Sketch};
pub use taxonomy::{Access, Concern, Identifiers, Phase, Threat};
