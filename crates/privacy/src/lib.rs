#![doc = include_str!("../README.md")]

mod discrete;
mod error;
mod event;
mod fixed;
mod key;
mod pld;
mod rdp;
mod rounded;
mod steps;
mod subsampled;

pub use discrete::{DiscreteGaussian, DiscreteLaplace};
pub use error::Error;
pub use event::Event;
pub use key::{SecretKey, SecretStream};
pub use steps::{Batch, PrivateSteps};
pub use subsampled::{Adjacency, Bounds, SubsampledGaussian};
