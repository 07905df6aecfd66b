#![doc = include_str!("../README.md")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "lattice indices and integer noise: ranges are checked or stated beside the cast"
)]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare what must be bit for bit the same"))]

mod adjacency;
mod audit;
mod bounds;
mod budget;
mod class_counts;
mod concentrated;
mod correlated;
mod delta;
mod discrete;
mod drawn_batch;
pub mod durable;
mod error;
mod event;
mod fixed;
mod fresh;
mod fresh_fault;
mod gdp;
mod key;
mod matrix;
pub mod mistakes;
mod noise;
mod noise_calibration;
mod paid_run;
mod pld;
mod private_steps;
mod rdp;
mod response;
mod rounded;
mod selection;
#[cfg(feature = "statistics")]
pub mod statistics;
mod subsampled;

pub use adjacency::Adjacency;
pub use audit::Guesses;
pub use bounds::Bounds;
pub use budget::{
    AuditTrail, Budget, BudgetEvent, BudgetTerms, ChainHead, Cost, Entry, EntryFault, FileFault, RecordFault,
    Reservation, RunMark,
};
pub use class_counts::ClassCounts;
pub use concentrated::ZeroConcentrated;
pub use correlated::{CorrelatedGaussian, CorrelatedProgress, CorrelatedSteps};
pub use delta::recommended_delta;
pub use discrete::{DiscreteGaussian, DiscreteLaplace};
pub use drawn_batch::{Batch, Progress};
pub use error::Error;
pub use event::Event;
pub use fresh::{FreshBytes, NoiseSource};
pub use fresh_fault::FreshFault;
pub use gdp::GaussianPrivacy;
pub use key::{SecretKey, SecretStream};
pub use matrix::{BandedFactor, Participation};
pub use noise_calibration::Target;
pub use paid_run::{Accountant, PaidRun};
pub use private_steps::PrivateSteps;
pub use response::RandomizedResponse;
pub use selection::{ExponentialMechanism, NoisyMax, ScoreChange};
pub use subsampled::SubsampledGaussian;
