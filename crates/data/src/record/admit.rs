//! Admits rows that keep the contract.

use rayon::prelude::*;
use underpin_core::{Audited, Digest, Examples, Inputs, Record};

use super::collection::Collection;
use super::decision::{Rejection, RowDecision};
use super::ledger::RowLedger;
use crate::Error;
use crate::input::RawTable;
use crate::schema::{Contract, Encoder, Rows};

/// Admits the rows that keep the contract (validation); every other row is rejected with its reason.
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
        let digest = if dropped.is_some() { row.digest() } else { Digest::new([0; 32]) };
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
    Ok(Audited { value: Collection::new(raw_table, contract.clone(), rows, ledger), record })
}
