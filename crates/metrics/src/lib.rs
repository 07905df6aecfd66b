#![doc = include_str!("../README.md")]

mod answers;
mod error;
mod random;
mod roc;
mod setting;

pub mod evasion;
pub mod interval;

pub use answers::correct;
pub use error::Error;
pub use roc::{RocPoint, roc, roc_series};
pub use setting::Setting;
