#![doc = include_str!("../README.md")]

mod assess;
mod calendar;
mod class_counts;
mod collect;
mod collected;
pub mod config;
mod drift;
mod error;
mod job;
mod json;
mod judgement;
mod model;
mod pipeline;
mod prepare;
mod reassess;
pub mod recipes;
mod redteam;
pub mod report;
mod safety;
pub mod seal;
mod serving;
pub mod stages;
pub mod summary;
mod trainers;

pub use collected::CollectedData;
pub use config::Config;
pub use drift::{Drift, Shift};
pub use error::Error;
pub use job::{Input, Job, Protection};
pub use model::{Model, Recipe};
pub use pipeline::{Finished, run};
pub use reassess::{Reassessed, ReassessmentResult, Request, reassess};
pub use redteam::Poisoned;
pub use serving::{Ready, State, open};
pub use underpin_train::DeviceKind;
