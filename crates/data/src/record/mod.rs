//! What became of each row: the decision and its reason, the ledger of all decisions, the manifest, the quarantine.

mod admit;
mod collection;
mod decision;
mod ledger;
mod ledger_file;
mod manifest;
mod merkle;
mod neighbours;
mod quarantine;
mod reason;
mod row_id;

pub use admit::admit;
pub(crate) use collection::Flag;
pub use collection::{Collection, Floor};
pub use decision::{Rejection, RowDecision};
pub use ledger::RowLedger;
pub use ledger_file::LedgerCounts;
pub use manifest::Manifest;
pub(crate) use neighbours::{Near, Neighbours};
pub use quarantine::write_quarantine;
pub use reason::Reason;
pub use row_id::FIRST_INJECTED_ID;
