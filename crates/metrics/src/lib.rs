#![doc = include_str!("../README.md")]

mod answers;
mod error;
mod measure;
mod progress;
mod random;
mod roc;
mod scores;
mod setting;

pub mod controls;
pub mod detection;
pub mod evasion;
pub mod extraction;
pub mod interval;
pub mod inversion;
pub mod membership;
pub mod poisoning;
pub mod utility;

pub use answers::correct;
pub use error::Error;
pub use measure::measure_all;
pub use roc::{RocPoint, roc, roc_series};
pub use setting::Setting;
