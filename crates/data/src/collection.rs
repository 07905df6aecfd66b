//! Rows on their way from the file to training, each with its decision.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use underpin_core::{Audited, Examples, Inputs, Record};

use crate::Error;
use crate::contract::Contract;
use crate::encode::Encoder;
use crate::ledger::{Reason, Rejection, RowDecision, RowLedger};
use crate::neighbours::Neighbours;
use crate::raw::RawTable;
use crate::rows::Rows;

/// Rows that kept the contract, the decision of every row that came, and the rows held out.
///
/// Sanitizers take rows out; none puts rows in or changes one. Each judges a collection once: what it kept, it keeps.
#[derive(Clone, Debug)]
pub struct Collection {
    raw_table: Arc<RawTable>,
    contract: Arc<Contract>,
    rows: Rows,
    ledger: RowLedger,
    held_out: Option<Arc<Rows>>,
    judged: Vec<String>,
    pub(crate) neighbours: Option<Arc<Neighbours>>,
}

/// What must be left of a collection for it to be of use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Greatest share of rows that may be rejected, in `[0, 1]`.
    pub max_rejected: f64,
    /// Fewest rows that must be left.
    pub min_rows: usize,
}

/// Lets rows in that keep the contract; every other row is dropped with its reason.
///
/// # Errors
///
/// [`Error::MissingColumn`] or [`Error::ShapeMismatch`] when the file has not the contract's columns. A bad row is no
/// error.
pub fn admit(raw_table: RawTable, contract: &Contract) -> Result<Audited<Collection>, Error> {
    let encoder = Encoder::new(contract, &raw_table)?;
    let encoded: Vec<_> = (0..raw_table.len()).into_par_iter().map(|at| encoder.encode(raw_table.nth(at))).collect();
    let mut record = Record::default();
    let mut values = Vec::with_capacity(encoded.len() * contract.shape().size());
    let (mut labels, mut ids, mut decisions, mut clamped) = (vec![], vec![], vec![], 0);
    for (row, encoded) in raw_table.rows().zip(encoded) {
        let dropped = match encoded {
            Ok(encoded) => {
                values.extend(encoded.values);
                labels.push(encoded.label);
                ids.push(row.id());
                clamped += encoded.clamped;
                None
            }
            Err((reason, detail)) => Some(Rejection { by: "contract".into(), reason, detail }),
        };
        let digest = if dropped.is_some() { row.digest() } else { underpin_core::Digest::new([0; 32]) };
        decisions.push(RowDecision { id: row.id(), digest, dropped });
    }
    let inputs = Inputs::new(contract.shape().clone(), values)?;
    let rows = Rows::new(Examples::new(inputs, labels, contract.classes().len())?, ids)?;
    let admitted = decisions.iter_mut().filter(|decision| decision.dropped.is_none());
    admitted.zip(rows.digests()).for_each(|(decision, digest)| decision.digest = *digest);
    let ledger = RowLedger::new(decisions)?;
    record.set("collection.read", ledger.read());
    record.set("collection.contract.kept", ledger.kept());
    record.set("collection.contract.clamped_values", clamped);
    for (reason, count) in ledger.dropped() {
        record.set(format!("collection.contract.{reason}"), count);
    }
    tracing::info!(read = ledger.read(), kept = ledger.kept(), "contract checked");
    let (raw_table, contract) = (Arc::new(raw_table), Arc::new(contract.clone()));
    let value = Collection { raw_table, contract, rows, ledger, held_out: None, judged: vec![], neighbours: None };
    Ok(Audited { value, record })
}

impl Collection {
    /// Gives the collection rows that never train, to calibrate thresholds on and to find leaked rows by.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] when their shape or number of classes differs.
    pub fn hold_out(mut self, rows: Rows) -> Result<Self, Error> {
        let (mine, theirs) = (self.rows.examples(), rows.examples());
        if mine.inputs().shape() != theirs.inputs().shape() {
            let (expected, found) = (mine.inputs().shape().size(), theirs.inputs().shape().size());
            return Err(underpin_core::Error::Length { name: "held-out row", expected, found }.into());
        }
        if mine.classes() != theirs.classes() {
            let (expected, found) = (mine.classes(), theirs.classes());
            return Err(underpin_core::Error::Length { name: "classes of held-out rows", expected, found }.into());
        }
        self.held_out = Some(Arc::new(rows));
        self.neighbours = None;
        Ok(self)
    }

    /// The rows as they came.
    pub fn raw_table(&self) -> &RawTable {
        &self.raw_table
    }

    /// Features and label of the row `id` as it came, dropped or not, if it keeps `contract`.
    pub fn encoded(&self, contract: &Contract, id: u64) -> Option<(Vec<f32>, usize)> {
        let encoded = Encoder::new(contract, &self.raw_table).ok()?.encode(self.raw_table.row(id)?).ok()?;
        Some((encoded.values, encoded.label))
    }

    /// What every row had to be.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The rows kept so far.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The rows kept so far, themselves.
    pub fn into_rows(self) -> Rows {
        self.rows
    }

    /// Every row's decision so far.
    pub fn ledger(&self) -> &RowLedger {
        &self.ledger
    }

    /// The rows that never train, if any were given.
    pub fn held_out(&self) -> Option<&Rows> {
        self.held_out.as_deref()
    }

    /// Leaves held-out rows out of all later calibration; they are still not to be trained on.
    pub(crate) fn distrust(&mut self, positions: &[usize]) {
        let Some(held_out) = self.held_out.take() else { return };
        let kept: Vec<usize> = (0..held_out.len()).filter(|at| !positions.contains(at)).collect();
        if let Some(neighbours) = self.neighbours.take() {
            self.neighbours = Some(Arc::new(neighbours.keep_held_out(&kept)));
        }
        self.held_out = Some(Arc::new(held_out.select(&kept)));
    }

    pub(crate) fn reference(&self, sanitizer: &'static str) -> Result<Arc<Rows>, Error> {
        let rows = self.held_out.clone().filter(|rows| !rows.is_empty());
        rows.ok_or(Error::NoReference { sanitizer })
    }

    /// Refuses a collection too little of which is left.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::TooManyRejected`], [`Error::TooFewRows`] or [`Error::OneClass`].
    pub fn check(&self, floor: &Floor) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&floor.max_rejected) {
            return Err(Error::out_of_range("max_rejected", floor.max_rejected, "[0, 1]"));
        }
        let file = self.raw_table.name().to_owned();
        let (rows, kept) = (self.ledger.read(), self.ledger.kept());
        if (rows - kept) as f64 > floor.max_rejected * rows as f64 {
            let first = self
                .ledger
                .decisions()
                .iter()
                .find_map(|decision| decision.dropped.as_ref().map(|drop| (decision.id, drop)));
            return Err(Error::TooManyRejected {
                file,
                rejected: rows - kept,
                rows,
                allowed: floor.max_rejected,
                reasons: self.ledger.dropped(),
                first: first.map_or_else(String::new, |(id, drop)| format!("row {id}: {}", drop.detail)),
            });
        }
        let counts = self.rows.examples().counts();
        let found = counts.iter().filter(|count| **count > 0).count();
        if found < 2 {
            let present = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            return Err(Error::OneClass {
                file,
                found,
                classes: present.map(|(class, _)| self.contract.classes()[class].clone()).collect(),
            });
        }
        if kept < floor.min_rows {
            return Err(Error::TooFewRows { file, found: kept, needed: floor.min_rows });
        }
        Ok(())
    }

    /// Runs a judgement once per sanitizer: drops what it flags and counts it in the record.
    pub(crate) fn judge(
        mut self,
        name: &'static str,
        judgement: impl FnOnce(&mut Self, &mut Record) -> Result<Vec<Flag>, Error>,
    ) -> Result<Audited<Self>, Error> {
        let mut record = Record::default();
        if self.judged.iter().any(|judged| judged == name) {
            record.set(format!("collection.{name}.judged_before"), true);
            return Ok(Audited { value: self, record });
        }
        let before = self.rows.len();
        let mut flags = judgement(&mut self, &mut record)?;
        flags.sort_by_key(|flag| flag.position);
        flags.dedup_by_key(|flag| flag.position);
        for Flag { position, reason, detail } in &flags {
            let drop = Rejection { by: name.into(), reason: *reason, detail: detail.clone() };
            self.ledger.drop_row(self.rows.ids()[*position], drop);
        }
        let mut flagged = flags.iter().map(|flag| flag.position).peekable();
        let kept: Vec<usize> = (0..before).filter(|at| flagged.next_if_eq(at).is_none()).collect();
        if let Some(neighbours) = self.neighbours.take() {
            self.neighbours = Some(Arc::new(neighbours.keep(&kept)));
        }
        self.rows = self.rows.select(&kept);
        self.judged.push(name.into());
        record.set(format!("collection.{name}.judged"), before);
        record.set(format!("collection.{name}.dropped"), flags.len());
        tracing::info!(sanitizer = name, judged = before, dropped = flags.len(), "judged");
        Ok(Audited { value: self, record })
    }
}

/// A row that a sanitizer does not let pass.
pub(crate) struct Flag {
    pub(crate) position: usize,
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}
