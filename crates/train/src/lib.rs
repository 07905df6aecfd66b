#![doc = include_str!("../README.md")]

mod architecture;
mod classifier;
mod device;
mod error;
mod network;
mod tape;

pub use architecture::Architecture;
pub use classifier::Classifier;
pub use device::DeviceKind;
pub use error::Error;
pub use tape::{Gradient, Recording, Tape};
