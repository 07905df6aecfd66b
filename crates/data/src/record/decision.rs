//! The decision about one row: kept, or rejected by a sanitizer with a reason.

use serde::{Deserialize, Serialize};
use underpin_core::Digest;

use super::reason::Reason;

/// Why and by whom a row was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// The sanitizer.
    pub by: String,
    /// The reason.
    pub reason: Reason,
    /// Column, value and what is allowed, or the score and its threshold.
    pub detail: String,
}

/// What became of one row: kept or rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowDecision {
    /// Identifier of the row: its line or position in the file, from 1.
    pub id: u64,
    /// SHA-256 of the row's canonical content.
    pub digest: Digest,
    /// Nothing while the row is kept.
    pub dropped: Option<Rejection>,
}

impl RowDecision {
    /// The decision as one line of JSON, without a line feed.
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).expect("invariant: a decision holds nothing that JSON cannot hold")
    }
}
