#![doc = include_str!("../README.md")]

mod clearance;
mod clients;
mod error;
mod file;
#[cfg(feature = "http")]
mod http;
mod ledger;
mod limit;
mod perturb;
mod quota;
mod recorder;

pub use clearance::{ClearanceCheck, Revocable};
pub use clients::{ApiKey, Client, ClientBook, ClientState};
pub use error::Error;
#[cfg(feature = "http")]
pub use http::{Guards, HttpLimits, ModelInfo, Service, read_request, serve};
pub use ledger::{QueryLedger, Receipt};
pub use limit::{Limited, QueryLimit};
pub use perturb::{OutputPerturbation, Perturb, Scale};
pub use quota::{Clock, Quota, Rate};
pub use recorder::{Recorder, read_sketch};
