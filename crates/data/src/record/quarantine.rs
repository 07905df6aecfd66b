//! Writes rejected rows to a quarantine file (Parquet), for people to look at.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, LargeBinaryArray, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;

use super::collection::Collection;
use super::decision::{Rejection, RowDecision};
use crate::Error;

/// Rows per batch.
const BATCH: usize = 4096;

/// Writes the dropped rows as Parquet: `id`, `sanitizer`, `reason`, `detail` and `raw`, the row as it came, in bytes.
///
/// A row that does not fit the file's columns is its line; of any other the cells are joined by commas, quoted by
/// RFC 4180.
///
/// # Errors
///
/// [`Error::Quarantine`] when `to` cannot be written.
pub fn write_quarantine(collection: &Collection, to: impl Write + Send) -> Result<(), Error> {
    fn refuse(source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Quarantine { source: Box::new(source) }
    }
    let decisions: Vec<_> = collection
        .ledger()
        .decisions()
        .iter()
        .filter_map(|decision| Some((decision, decision.dropped.as_ref()?)))
        .collect();
    let schema = batch(collection, &[]).map_err(refuse)?.schema();
    let mut writer = ArrowWriter::try_new(to, schema, None).map_err(refuse)?;
    for decisions in decisions.chunks(BATCH) {
        let batch = batch(collection, decisions).map_err(refuse)?;
        writer.write(&batch).map_err(refuse)?;
    }
    writer.close().map_err(refuse)?;
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
