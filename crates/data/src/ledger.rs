//! Every row's decision.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use underpin_core::Digest;

use crate::Error;
use crate::merkle;
use crate::rows::Rows;

/// Why a row was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The line cannot be split into cells, or has too few or too many.
    Malformed,
    /// A cell of a numeric column is no number, or NaN or infinite.
    NotANumber,
    /// A cell that is needed is empty.
    Missing,
    /// A number lies outside the contract's range.
    OutOfRange,
    /// A word is none of the column's categories.
    UnknownCategory,
    /// The label is none of the classes.
    UnknownClass,
    /// Another row has the same features and label.
    ExactDuplicate,
    /// Another row has the same features and another label.
    ConflictingLabels,
    /// Another row of the class differs by almost nothing.
    NearDuplicate,
    /// A held-out row is the same or almost the same.
    Leakage,
    /// The neighbours say that the label is wrong.
    LabelError,
    /// The row is far from all others.
    Outlier,
    /// The row's representation bears a backdoor's signature.
    Backdoor,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Malformed => "malformed",
            Self::NotANumber => "not_a_number",
            Self::Missing => "missing",
            Self::OutOfRange => "out_of_range",
            Self::UnknownCategory => "unknown_category",
            Self::UnknownClass => "unknown_class",
            Self::ExactDuplicate => "exact_duplicate",
            Self::ConflictingLabels => "conflicting_labels",
            Self::NearDuplicate => "near_duplicate",
            Self::Leakage => "leakage",
            Self::LabelError => "label_error",
            Self::Outlier => "outlier",
            Self::Backdoor => "backdoor",
        })
    }
}

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

/// What became of one row.
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

/// Every row's decision, in the order of the file, with a Merkle root over all of them.
///
/// # Guarantees
///
/// 1. Rows that pass [`RowLedger::verify`] are exactly the kept rows, in order, bit for bit
///    (`any_change_to_a_kept_row_is_named`).
/// 2. Two ledgers have the same root only if they are the same, as far as SHA-256 resists collisions
///    (`any_change_of_a_fate_changes_the_root`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLedger {
    decisions: Vec<RowDecision>,
}

impl RowLedger {
    /// A ledger of these decisions.
    ///
    /// # Errors
    ///
    /// [`Error::LedgerLine`] when identifiers do not increase.
    pub fn new(decisions: Vec<RowDecision>) -> Result<Self, Error> {
        match decisions.windows(2).position(|pair| pair[0].id >= pair[1].id) {
            Some(at) => Err(Error::LedgerLine {
                line: at + 2,
                fault: format!("row id {} after {}; identifiers must increase", decisions[at + 1].id, decisions[at].id),
            }),
            None => Ok(Self { decisions }),
        }
    }

    /// The decisions, by increasing identifier.
    pub fn decisions(&self) -> &[RowDecision] {
        &self.decisions
    }

    /// The decision of row `id`.
    pub fn decision(&self, id: u64) -> Option<&RowDecision> {
        self.decisions.binary_search_by_key(&id, |decision| decision.id).ok().map(|at| &self.decisions[at])
    }

    pub(crate) fn drop_row(&mut self, id: u64, drop: Rejection) {
        if let Ok(at) = self.decisions.binary_search_by_key(&id, |decision| decision.id) {
            self.decisions[at].dropped.get_or_insert(drop);
        }
    }

    /// Number of rows read.
    pub fn read(&self) -> usize {
        self.decisions.len()
    }

    /// Number of rows kept.
    pub fn kept(&self) -> usize {
        self.decisions.iter().filter(|decision| decision.dropped.is_none()).count()
    }

    /// Number of rows dropped, by reason.
    pub fn dropped(&self) -> BTreeMap<Reason, usize> {
        let mut counts = BTreeMap::new();
        for drop in self.decisions.iter().filter_map(|decision| decision.dropped.as_ref()) {
            *counts.entry(drop.reason).or_insert(0) += 1;
        }
        counts
    }

    /// Merkle root (RFC 6962) over the decisions; a leaf is the decision's line in the ledger file, without its line feed.
    pub fn root(&self) -> Digest {
        merkle::root(
            &self.decisions.iter().map(|decision| merkle::leaf(decision.line().as_bytes())).collect::<Vec<_>>(),
        )
    }

    /// Merkle root (RFC 6962) over the kept rows; a leaf is the identifier (8 bytes, little endian) and the digest.
    pub fn kept_root(&self) -> Digest {
        let kept = self.decisions.iter().filter(|decision| decision.dropped.is_none());
        let leaf =
            |decision: &RowDecision| merkle::leaf(&[&decision.id.to_le_bytes()[..], decision.digest.bytes()].concat());
        merkle::root(&kept.map(leaf).collect::<Vec<_>>())
    }

    /// Refuses rows that are not exactly the kept rows, in order; what rows hold is hashed again.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] naming the first row that differs, is dropped, injected, unknown or missing.
    pub fn verify(&self, rows: &Rows) -> Result<(), Error> {
        let mut kept = self.decisions.iter().filter(|decision| decision.dropped.is_none());
        let fresh = rows.rehash();
        for (position, (id, digest)) in rows.ids().iter().zip(fresh).enumerate() {
            let mismatch = |fault| Err(Error::Mismatch { id: *id, position, fault });
            if *id >= crate::redteam::FIRST_ID {
                return mismatch("it is injected; injected rows never train");
            }
            match (kept.next(), self.decision(*id)) {
                (_, None) => return mismatch("the ledger does not know it"),
                (_, Some(RowDecision { dropped: Some(_), .. })) => return mismatch("the ledger says it was dropped"),
                (Some(next), _) if next.id != *id => {
                    return mismatch("it is out of order, or the row before it is missing");
                }
                (None, _) => return mismatch("it is repeated"),
                (Some(next), _) if next.digest != digest => return mismatch("its content changed"),
                _ => {}
            }
        }
        match kept.next() {
            Some(decision) => {
                Err(Error::Mismatch { id: decision.id, position: rows.ids().len(), fault: "it is missing" })
            }
            None => Ok(()),
        }
    }
}
