//! The ledger: the decision about every row, with Merkle roots over them.

use std::collections::BTreeMap;

use underpin_core::Digest;

use super::decision::{Rejection, RowDecision};
use super::merkle;
use super::reason::Reason;
use super::row_id::is_injected;
use crate::Error;
use crate::fault::{LedgerFault, RowFault};
use crate::schema::Rows;

/// Every row's decision, in the order of the file, with a Merkle root over all of them.
///
/// # Guarantees
///
/// 1. Rows that pass [`RowLedger::verify`] are exactly the kept rows, in order, bit for bit
///    (`any_change_to_a_kept_row_is_named`).
/// 2. Two ledgers have the same root only if they are the same, as far as SHA-256 resists collisions
///    (`any_change_of_a_decision_changes_the_root`).
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
                fault: LedgerFault::Order { id: decisions[at + 1].id, after: decisions[at].id },
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

    pub(super) fn reject(&mut self, id: u64, rejection: Rejection) {
        if let Ok(at) = self.decisions.binary_search_by_key(&id, |decision| decision.id) {
            self.decisions[at].dropped.get_or_insert(rejection);
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

    /// Verifies that rows are exactly the kept rows, in order; their content is hashed again.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] naming the first row that differs, is dropped, injected, unknown or missing.
    pub fn verify(&self, rows: &Rows) -> Result<(), Error> {
        let mut kept = self.decisions.iter().filter(|decision| decision.dropped.is_none());
        let fresh = rows.rehash();
        for (position, (id, digest)) in rows.ids().iter().zip(fresh).enumerate() {
            let mismatch = |fault| Err(Error::Mismatch { id: *id, position, fault });
            if is_injected(*id) {
                return mismatch(RowFault::Injected);
            }
            match (kept.next(), self.decision(*id)) {
                (_, None) => return mismatch(RowFault::Unknown),
                (_, Some(RowDecision { dropped: Some(_), .. })) => return mismatch(RowFault::Rejected),
                (Some(next), _) if next.id != *id => return mismatch(RowFault::Order),
                (None, _) => return mismatch(RowFault::Repeated),
                (Some(next), _) if next.digest != digest => return mismatch(RowFault::Changed),
                _ => {}
            }
        }
        match kept.next() {
            Some(decision) => {
                Err(Error::Mismatch { id: decision.id, position: rows.ids().len(), fault: RowFault::Missing })
            }
            None => Ok(()),
        }
    }
}
