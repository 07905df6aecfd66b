//! Rejected rows are kept, for people to look at.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, LargeBinaryArray, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;

use crate::Error;
use crate::collection::Collection;
use crate::ledger::{Rejection, RowDecision};

/// Rows per batch.
const BATCH: usize = 4096;

/// Writes the dropped rows as Parquet: `id`, `sanitizer`, `reason`, `detail` and `raw`, the row as it came, in bytes.
///
/// A row that does not fit the file's columns is its line; of any other the cells are joined by commas, quoted as RFC 4180
/// says.
///
/// # Errors
///
/// [`Error::Parquet`] when `to` cannot be written.
pub fn write_quarantine(collection: &Collection, to: impl Write + Send) -> Result<(), Error> {
    let refuse = |fault: &dyn std::fmt::Display| Error::Parquet { file: "quarantine".into(), fault: fault.to_string() };
    let decisions: Vec<_> = collection
        .ledger()
        .decisions()
        .iter()
        .filter_map(|decision| Some((decision, decision.dropped.as_ref()?)))
        .collect();
    let schema = batch(collection, &[]).map_err(|fault| refuse(&fault))?.schema();
    let mut writer = ArrowWriter::try_new(to, schema, None).map_err(|fault| refuse(&fault))?;
    for decisions in decisions.chunks(BATCH) {
        let batch = batch(collection, decisions).map_err(|fault| refuse(&fault))?;
        writer.write(&batch).map_err(|fault| refuse(&fault))?;
    }
    writer.close().map_err(|fault| refuse(&fault))?;
    Ok(())
}

fn batch(
    collection: &Collection,
    decisions: &[(&RowDecision, &Rejection)],
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let text = |of: &dyn Fn(&RowDecision, &Rejection) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(decisions.iter().map(|(decision, drop)| of(decision, drop))))
    };
    let raw = decisions
        .iter()
        .map(|(decision, _)| collection.raw_table().row(decision.id).map(|row| row.line()).unwrap_or_default());
    RecordBatch::try_from_iter([
        ("id", Arc::new(UInt64Array::from_iter_values(decisions.iter().map(|(decision, _)| decision.id))) as ArrayRef),
        ("sanitizer", text(&|_, drop| drop.by.clone())),
        ("reason", text(&|_, drop| drop.reason.to_string())),
        ("detail", text(&|_, drop| drop.detail.clone())),
        ("raw", Arc::new(LargeBinaryArray::from_iter_values(raw))),
    ])
}
