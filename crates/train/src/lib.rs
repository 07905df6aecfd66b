#![doc = include_str!("../README.md")]

mod adversary;
mod architecture;
mod augment;
mod batches;
mod canary;
#[cfg(test)]
mod captured;
mod charge;
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
mod fault;
mod journal;
mod network;
#[cfg(test)]
mod noise_tests;
mod paid;
mod preprocessing;
mod private;
mod regime;
mod resume;
mod scattering;
mod schedule;
#[cfg(all(test, feature = "remote"))]
mod served;
mod settings;
mod sgd;
mod store;
mod tape;
mod training_record;
mod users;
mod weights;

pub use adversary::NoAdversary;
pub use architecture::Architecture;
pub use augment::{Augmentation, Mirror};
pub use batches::{Cyclic, Shuffled, Steps};
pub use canary::SelfAudit;
pub use charge::Payment;
pub use checkpoint::Checkpoints;
pub use classifier::Classifier;
pub use clipping::{ClippedSum, Clipper, Clipping};
pub use convolution::{Convolution, Pool};
pub use corrected::{CorrectedAdam, Moments};
pub use device::DeviceKind;
pub use engine::{Drawn, Engine, Method, Part, Summed};
pub use error::Error;
pub use fault::{CheckpointFault, Damage, ModelFault, PaymentFault, PerturbedFault};
pub use preprocessing::Preprocessing;
pub use private::{Mechanism, Privacy};
pub use regime::Regime;
pub use scattering::Scattering;
pub use schedule::{Averaging, Schedule};
pub use settings::{Optimiser, Settings};
pub use sgd::Sgd;
pub use tape::{Attend, ExampleRule, Gradient, NormMethod, Recording, Tape};
pub use users::Users;
