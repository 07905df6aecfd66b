#![doc = include_str!("../README.md")]

mod adversary;
mod architecture;
mod augment;
mod canary;
#[cfg(test)]
mod captured;
mod checkpoint;
mod classifier;
mod clipping;
mod convolution;
mod corrected;
mod device;
#[cfg(test)]
mod digits_tests;
mod engine;
mod error;
mod journal;
mod network;
mod paid;
mod preprocessing;
mod private;
mod record;
mod resume;
mod scattering;
mod schedule;
#[cfg(all(test, feature = "remote"))]
mod served;
mod settings;
mod sgd;
mod steps;
mod store;
mod tape;
mod users;
mod weights;

pub use adversary::NoAdversary;
pub use architecture::Architecture;
pub use augment::{Augmentation, Mirror};
pub use canary::SelfAudit;
pub use checkpoint::Checkpoints;
pub use classifier::Classifier;
pub use clipping::{ClippedSum, Clipper, Clipping};
pub use convolution::{Convolution, Pool};
pub use corrected::{CorrectedAdam, Moments};
pub use device::DeviceKind;
pub use engine::{Drawn, Engine, Method, Part, Summed};
pub use error::Error;
pub use paid::Payment;
pub use preprocessing::Preprocessing;
pub use private::{Mechanism, Privacy};
pub use scattering::Scattering;
pub use schedule::{Averaging, Schedule};
pub use settings::{Optimiser, Regime, Settings};
pub use sgd::Sgd;
pub use steps::{Cyclic, Shuffled, Steps};
pub use tape::{Attend, ExampleRule, Gradient, NormMethod, Recording, Tape};
pub use users::Users;
