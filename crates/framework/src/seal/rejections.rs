//! The rejected rows of a run, counted again from its ledgers.

use std::collections::BTreeMap;

use underpin_core::Policy;
use underpin_data::{Limits, RowLedger};

use super::{Fault, Flaw, files};

/// Counts the rejected rows of both sides, training and held out, from their ledgers, and compares with the limit of
/// `policy`.
///
/// # Errors
///
/// [`Flaw::Malformed`] for a ledger that does not read, [`Flaw::TooManyRejected`] for one above the limit.
pub(super) fn recount(files: &BTreeMap<String, Vec<u8>>, policy: &Policy) -> Result<(), Fault> {
    for name in [files::LEDGER, files::HELD_OUT_LEDGER] {
        let ledger = RowLedger::read_from(&files[name][..], &Limits::default());
        let ledger = ledger.map_err(|error| Flaw::malformed(&error).of(name))?;
        let (rows, rejected) = (ledger.read() as u64, (ledger.read() - ledger.kept()) as u64);
        let allowed = allowed(policy.max_rejected(), rows);
        if rejected > allowed {
            return Err(Flaw::TooManyRejected { rejected, rows, allowed }.of(name));
        }
    }
    Ok(())
}

/// The largest count of `rows` that is no more than the fraction `most`, by the comparison that collection makes.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count is a count")]
fn allowed(most: f64, rows: u64) -> u64 {
    (most * rows as f64).floor() as u64
}
