#![doc = include_str!("../README.md")]

mod assess;
mod attempts;
mod calendar;
mod class_counts;
mod collect;
mod collected;
pub mod config;
mod data_budget;
mod drift;
mod dry_run;
mod error;
mod job;
mod json;
mod judgement;
mod known_runs;
mod model;
mod pipeline;
mod prepare;
mod reassess;
pub mod recipes;
mod redteam;
pub mod report;
mod run_state;
mod safety;
pub mod seal;
mod served_inputs;
mod serving;
mod serving_state;
pub mod stages;
mod state_fault;
pub mod summary;
mod trainers;

pub use collected::CollectedData;
pub use config::Config;
pub use data_budget::BudgetFile;
pub use drift::{Drift, Shift};
pub use dry_run::{DryRun, RunPlan, SplitPlan, dry_run};
pub use error::Error;
pub use job::{Input, Job, Protection};
pub use known_runs::KnownRuns;
pub use model::{Model, Recipe};
pub use pipeline::{Finished, run};
pub use reassess::{Reassessed, ReassessmentResult, Request, reassess};
pub use redteam::Poisoned;
pub use serving::{Ready, ServeRequest, open};
pub use serving_state::State;
pub use state_fault::StateFault;
pub use underpin_train::DeviceKind;

/// The Rust blocks of the guides, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/contribute.md")]
mod guides {}
