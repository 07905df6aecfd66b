//! The data manifest: a summary of a collection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use underpin_core::{Digest, Disclosure, Outputs, Sketch, Subject};

use super::collection::Collection;
use super::reason::Reason;
use crate::Error;
use crate::input::{Format, Split};
use crate::schema::{Contract, Rows};

/// Summary of a collection: where the rows came from, how much was kept, under which contract, and the roots of its ledger.
///
/// # Limits
///
/// Counts are exact, without noise. The sketch is that of the held-out rows, if there are any, so that it discloses nothing
/// of a row that trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the file, without its folder.
    pub source: String,
    /// How it is written.
    pub format: Format,
    /// The files read, with SHA-256 of their bytes.
    pub files: Vec<Subject>,
    /// The files that the rows held out were read from, alike; empty when they were set aside from the same files.
    pub held_out_files: Vec<Subject>,
    /// Rows read on the training side.
    pub read: usize,
    /// Rows kept.
    pub kept: usize,
    /// Rows dropped, by reason.
    pub dropped: BTreeMap<Reason, usize>,
    /// Rows kept of each class, in the order of the contract's classes.
    pub counts: Vec<usize>,
    /// Rows held out.
    pub held_out: usize,
    /// How they were set aside; nothing if they came in a file of their own.
    pub split: Option<Split>,
    /// What every row had to be.
    pub contract: Contract,
    /// Merkle root over all decisions.
    pub ledger_root: Digest,
    /// Merkle root over the kept rows.
    pub kept_root: Digest,
    /// Histograms of the inputs, to detect drift.
    pub sketch: Sketch,
}

impl Manifest {
    /// Sums a collection up.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] never: an admitted collection has classes.
    pub fn new(collection: &Collection, split: Option<Split>) -> Result<Self, Error> {
        let (raw_table, contract) = (collection.raw_table(), collection.contract());
        let (rows, ledger) = (collection.rows(), collection.ledger());
        let sketched = collection.held_out().unwrap_or(rows).examples();
        let classes = contract.classes().len();
        let mut scores = vec![0.0; sketched.len() * classes];
        for (row, label) in scores.chunks_exact_mut(classes).zip(sketched.labels()) {
            if let Some(score) = row.get_mut(*label) {
                *score = 1.0;
            }
        }
        let mut sketch = Sketch::new(contract.shape().size(), classes);
        sketch.observe(sketched.inputs(), &Outputs::new(classes, scores, Disclosure::Label)?);
        Ok(Self {
            source: raw_table.name().to_owned(),
            format: raw_table.format(),
            files: raw_table.files().to_vec(),
            held_out_files: Vec::new(),
            read: ledger.read(),
            kept: ledger.kept(),
            dropped: ledger.dropped(),
            counts: rows.examples().counts(),
            held_out: collection.held_out().map_or(0, Rows::len),
            split,
            contract: contract.clone(),
            ledger_root: ledger.root(),
            kept_root: ledger.kept_root(),
            sketch,
        })
    }
}
