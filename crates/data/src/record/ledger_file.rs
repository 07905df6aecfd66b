//! Reads and writes the ledger as a file of JSON lines.

use std::io::{BufRead, Read, Write};

use super::decision::RowDecision;
use super::ledger::RowLedger;
use crate::Error;
use crate::fault::LedgerFault;
use crate::input::Limits;

/// Longest line of a ledger, in bytes.
const LINE: u64 = 1 << 16;

impl RowLedger {
    /// Writes one decision per line.
    ///
    /// # Errors
    ///
    /// Errors of the writer.
    pub fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        self.decisions().iter().try_for_each(|decision| writeln!(to, "{}", decision.line()))?;
        to.flush()
    }

    /// Reads what [`RowLedger::write`] wrote; of anything else names the line that is wrong.
    ///
    /// # Errors
    ///
    /// [`Error::LedgerLine`] on a line that is no decision, is not written as [`RowLedger::write`] would, or is out of order;
    /// [`Error::TooLarge`] above `limits.rows`.
    pub fn read_from(from: impl BufRead, limits: &Limits) -> Result<Self, Error> {
        let mut decisions = Vec::new();
        each(from, limits, |decision| decisions.push(decision))?;
        Self::new(decisions)
    }
}

/// Rows of a ledger file, counted without keeping them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Rows in the ledger.
    pub rows: u64,
    /// Rows that were rejected.
    pub rejected: u64,
}

impl LedgerCounts {
    /// Counts the rows of a ledger file one line at a time: memory stays that of one line, at most 64 KiB, however long the
    /// file is. Refuses all that [`RowLedger::read_from`] refuses.
    ///
    /// # Errors
    ///
    /// As [`RowLedger::read_from`].
    pub fn read_from(from: impl BufRead, limits: &Limits) -> Result<Self, Error> {
        let mut counts = Self::default();
        each(from, limits, |decision| {
            counts.rows += 1;
            counts.rejected += u64::from(decision.dropped.is_some());
        })?;
        Ok(counts)
    }
}

/// Hands over each decision of a ledger file; identifiers must increase.
fn each(mut from: impl BufRead, limits: &Limits, mut hand: impl FnMut(RowDecision)) -> Result<(), Error> {
    let mut line = Vec::new();
    let mut last = None;
    for at in 1.. {
        line.clear();
        let refuse = |fault| Error::LedgerLine { line: at, fault };
        let mut bounded = from.by_ref().take(LINE);
        let taken = bounded.read_until(b'\n', &mut line).map_err(|error| refuse(LedgerFault::Read(error)))?;
        if taken == 0 {
            break;
        }
        if at as u64 > limits.rows {
            let found = limits.rows.saturating_add(1);
            return Err(Error::TooLarge { file: "ledger".into(), what: "number of rows", found, allowed: limits.rows });
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(refuse(LedgerFault::Length { allowed: LINE }));
        };
        let decision: RowDecision = serde_json::from_slice(text).map_err(|error| refuse(LedgerFault::Json(error)))?;
        if decision.line().as_bytes() != text {
            return Err(refuse(LedgerFault::NotCanonical));
        }
        if let Some(after) = last.filter(|after| *after >= decision.id) {
            return Err(refuse(LedgerFault::Order { id: decision.id, after }));
        }
        last = Some(decision.id);
        hand(decision);
    }
    Ok(())
}
