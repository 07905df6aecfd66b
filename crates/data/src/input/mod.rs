//! Bytes in, raw rows out: CSV, IDX and Parquet files, read under limits. Nothing in a row is trusted yet.

mod batch;
mod cell;
mod csv;
mod dialect;
mod fingerprint;
mod format;
mod idx;
mod label_column;
mod limits;
mod open;
mod parquet;
mod raw;
mod row;
mod split;

pub(crate) use batch::Builder;
pub use fingerprint::fingerprint;
pub use format::{Format, NamedBytes, Source};
pub use limits::Limits;
pub use open::{from_bytes, open};
pub use raw::RawTable;
pub use row::RawRow;
pub(crate) use row::{Refusal, is_missing, shortened};
pub use split::{Parts, Split, split};
