//! Rejected rows are kept, for people to look at.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;

use crate::Error;
use crate::collection::Collection;
use crate::ledger::{Drop, Fate};

/// Rows per batch.
const BATCH: usize = 4096;

/// Writes the dropped rows as Parquet: `id`, `sanitizer`, `reason`, `detail` and `raw`, the row as it came.
///
/// # Errors
///
/// [`Error::Parquet`] when `to` cannot be written.
pub fn write_quarantine(collection: &Collection, to: impl Write + Send) -> Result<(), Error> {
    let refuse = |fault: &dyn std::fmt::Display| Error::Parquet { file: "quarantine".into(), fault: fault.to_string() };
    let fates: Vec<_> =
        collection.ledger().fates().iter().filter_map(|fate| Some((fate, fate.dropped.as_ref()?))).collect();
    let schema = batch(collection, &[]).map_err(|fault| refuse(&fault))?.schema();
    let mut writer = ArrowWriter::try_new(to, schema, None).map_err(|fault| refuse(&fault))?;
    for fates in fates.chunks(BATCH) {
        let batch = batch(collection, fates).map_err(|fault| refuse(&fault))?;
        writer.write(&batch).map_err(|fault| refuse(&fault))?;
    }
    writer.close().map_err(|fault| refuse(&fault))?;
    Ok(())
}

fn batch(collection: &Collection, fates: &[(&Fate, &Drop)]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let text = |of: &dyn Fn(&Fate, &Drop) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(fates.iter().map(|(fate, drop)| of(fate, drop))))
    };
    let raw = |fate: &Fate| collection.door().row(fate.id).map_or_else(String::new, crate::RawRow::display);
    RecordBatch::try_from_iter([
        ("id", Arc::new(UInt64Array::from_iter_values(fates.iter().map(|(fate, _)| fate.id))) as ArrayRef),
        ("sanitizer", text(&|_, drop| drop.by.clone())),
        ("reason", text(&|_, drop| drop.reason.to_string())),
        ("detail", text(&|_, drop| drop.detail.clone())),
        ("raw", text(&|fate, _| raw(fate))),
    ])
}
