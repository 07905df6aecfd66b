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
    pub fn read_from(mut from: impl BufRead, limits: &Limits) -> Result<Self, Error> {
        let mut decisions: Vec<RowDecision> = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            let at = decisions.len() + 1;
            let refuse = |fault| Error::LedgerLine { line: at, fault };
            let mut bounded = from.by_ref().take(LINE);
            let taken = bounded.read_until(b'\n', &mut line).map_err(|error| refuse(LedgerFault::Read(error)))?;
            if taken == 0 {
                return Self::new(decisions);
            }
            if decisions.len() as u64 >= limits.rows {
                let found = limits.rows.saturating_add(1);
                return Err(Error::TooLarge {
                    file: "ledger".into(),
                    what: "number of rows",
                    found,
                    allowed: limits.rows,
                });
            }
            let Some(text) = line.strip_suffix(b"\n") else {
                return Err(refuse(LedgerFault::Length { allowed: LINE }));
            };
            let decision: RowDecision =
                serde_json::from_slice(text).map_err(|error| refuse(LedgerFault::Json(error)))?;
            if decision.line().as_bytes() != text {
                return Err(refuse(LedgerFault::NotCanonical));
            }
            decisions.push(decision);
        }
    }
}
