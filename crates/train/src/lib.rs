#![doc = include_str!("../README.md")]

mod adversary;
mod architecture;
mod classifier;
mod device;
mod error;
mod network;
mod preprocessing;
mod private;
mod record;
mod scattering;
mod settings;
mod sgd;
mod store;
mod tape;

pub use adversary::NoAdversary;
pub use architecture::Architecture;
pub use classifier::Classifier;
pub use device::DeviceKind;
pub use error::Error;
pub use preprocessing::Preprocessing;
pub use private::Privacy;
pub use scattering::Scattering;
pub use settings::{Optimiser, Regime, Settings};
pub use sgd::Sgd;
pub use tape::{Attend, ExampleRule, Gradient, NormMethod, Recording, Tape};
