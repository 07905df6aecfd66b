#![doc = include_str!("../README.md")]

mod assess;
mod calendar;
mod class_counts;
mod collect;
pub mod config;
mod drift;
mod error;
pub mod lifecycle;
mod model;
mod pipeline;
mod reassess;
pub mod recipes;
mod redteam;
pub mod report;
mod safety;
pub mod seal;
mod serving;

pub use collect::{CollectRequest, CollectedData, collect};
pub use config::Config;
pub use drift::{Drift, Shift};
pub use error::Error;
pub use model::{Model, Recipe};
pub use pipeline::{Finished, Input, Job, Protection, run};
pub use reassess::{Reassessed, ReassessmentResult, Request, reassess};
pub use redteam::Poisoned;
pub use serving::{Ready, State, open};
pub use underpin_train::DeviceKind;
