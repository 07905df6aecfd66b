#![doc = include_str!("../README.md")]

mod clearance;
mod clients;
mod contract;
mod error;
mod file;
#[cfg(feature = "http")]
mod http;
mod ledger_memory;
mod ledger_store;
mod limit;
mod owner_state;
mod perturb;
mod query_ledger;
mod quota;
mod rate;
mod recorder;
mod secret;

pub use clearance::{ClearanceCheck, Revocable};
pub use clients::{ApiKey, Client, ClientBook, ClientState};
pub use contract::{Allowed, InputColumn, InputContract, InputValue, OutOfContract};
pub use error::Error;
pub use file::{check_unchangeable, private_folder};
#[cfg(feature = "http")]
pub use http::{Guards, HttpLimits, ModelInfo, Service, Tls, read_request, serve, serve_tls};
pub use ledger_memory::RememberedLedger;
pub use limit::{Limited, QueryLimit};
pub use owner_state::{OwnerState, StateLock};
pub use perturb::{OutputPerturbation, Perturb, Scale};
pub use query_ledger::{QueryLedger, Receipt};
pub use quota::Quota;
pub use rate::{Clock, Rate};
pub use recorder::{Recorder, read_sketch};
pub use secret::secret_file;
