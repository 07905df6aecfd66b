//! Raw rows to typed rows: the contract, how it is inferred, and how a row that keeps it becomes numbers in `[0, 1]`.

mod contract;
mod encode;
mod infer;
mod label;
mod rows;
mod scale;
mod values;

pub use contract::{Column, Contract, Kind};
pub(crate) use encode::{Encoded, Encoder};
pub use rows::Rows;
pub use values::{RowValue, Takes, ValueEncoder, ValueFault};
