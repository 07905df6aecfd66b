#![doc = include_str!("../README.md")]

mod clearance;
mod clients;
mod error;
mod file;
#[cfg(feature = "http")]
mod http;
mod limit;
mod perturb;
mod query_ledger;
mod quota;
mod rate;
mod recorder;

pub use clearance::{ClearanceCheck, Revocable};
pub use clients::{ApiKey, Client, ClientBook, ClientState};
pub use error::Error;
#[cfg(feature = "http")]
pub use http::{Guards, HttpLimits, ModelInfo, Service, read_request, serve};
pub use limit::{Limited, QueryLimit};
pub use perturb::{OutputPerturbation, Perturb, Scale};
pub use query_ledger::{QueryLedger, Receipt};
pub use quota::Quota;
pub use rate::{Clock, Rate};
pub use recorder::{Recorder, read_sketch};
