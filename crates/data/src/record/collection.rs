//! A collection: admitted rows on their way to training, with the decision about every row.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::decision::Rejection;
use super::ledger::RowLedger;
use super::neighbours::Neighbours;
use super::reason::Reason;
use crate::Error;
use crate::input::RawTable;
use crate::schema::{Contract, Encoder, Rows};

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
    neighbours: Option<Arc<Neighbours>>,
}

/// The least that must be left of a collection: fraction of rows rejected, rows kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Greatest fraction of rows that may be rejected, in `[0, 1]`.
    pub max_rejected: f64,
    /// Fewest rows that must be left.
    pub min_rows: usize,
}

impl Collection {
    /// `rows`, kept by `ledger`, of all rows in `raw_table`.
    pub(super) fn new(raw_table: RawTable, contract: Contract, rows: Rows, ledger: RowLedger) -> Self {
        let (raw_table, contract) = (Arc::new(raw_table), Arc::new(contract));
        Self { raw_table, contract, rows, ledger, held_out: None, judged: vec![], neighbours: None }
    }

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

    /// Checks that enough is left of the collection.
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

    /// The nearest neighbours of rows and held-out rows: those already known, else what `search` finds.
    pub(crate) fn neighbours(&mut self, search: impl FnOnce(&Rows, Option<&Rows>) -> Neighbours) -> Arc<Neighbours> {
        let (rows, held_out) = (&self.rows, self.held_out.as_deref());
        self.neighbours.get_or_insert_with(|| Arc::new(search(rows, held_out))).clone()
    }

    /// Whether the sanitizer `name` has judged these rows before.
    pub(crate) fn was_judged_by(&self, name: &str) -> bool {
        self.judged.iter().any(|judged| judged == name)
    }

    /// Rejects the flagged rows in the name of a sanitizer, and notes that it has judged; returns how many were rejected.
    pub(crate) fn reject(&mut self, name: &str, mut flags: Vec<Flag>) -> usize {
        flags.sort_by_key(|flag| flag.position);
        flags.dedup_by_key(|flag| flag.position);
        for Flag { position, reason, detail } in &flags {
            let rejection = Rejection { by: name.into(), reason: *reason, detail: detail.clone() };
            self.ledger.reject(self.rows.ids()[*position], rejection);
        }
        let mut flagged = flags.iter().map(|flag| flag.position).peekable();
        let kept: Vec<usize> = (0..self.rows.len()).filter(|at| flagged.next_if_eq(at).is_none()).collect();
        if let Some(neighbours) = self.neighbours.take() {
            self.neighbours = Some(Arc::new(neighbours.keep(&kept)));
        }
        self.rows = self.rows.select(&kept);
        self.judged.push(name.into());
        flags.len()
    }
}

/// A row that a sanitizer does not let pass.
pub(crate) struct Flag {
    pub(crate) position: usize,
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}
