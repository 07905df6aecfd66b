#![doc = include_str!("../README.md")]

mod error;
mod fault;
pub mod inject;
mod input;
mod record;
mod sanitize;
mod schema;

pub use error::Error;
pub use fault::{ArrowFault, LedgerFault, ParquetFault, RowFault};
pub use input::{
    DecimalMark, Delimiter, Dialect, Encoding, Format, LabelBy, LeftOut, Limits, NamedBytes, Parts, RawRow, RawTable,
    Source, Split, fingerprint, from_bytes, open, split,
};
pub use record::{
    Collection, FIRST_INJECTED_ID, Floor, LedgerCounts, Manifest, Reason, Rejection, RowDecision, RowLedger, admit,
    write_quarantine,
};
pub use sanitize::{
    ActivationClustering, ExactDuplicates, FalsePositiveRate, Features, KnnLabels, KnnOutliers, Leakage,
    NearDuplicates, Representation, Sanitizers, SpectralSignatures,
};
pub use schema::{Column, Contract, Kind, RowValue, Rows, Takes, ValueEncoder, ValueFault};
