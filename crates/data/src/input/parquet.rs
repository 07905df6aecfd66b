//! Reads Parquet files into raw rows.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::metadata::RowGroupMetaData;

use super::batch::{Batch, MalformedRows, record, schema};
use super::cell::is_readable;
use super::format::Format;
use super::label_column::label_column;
use super::limits::Limits;
use super::raw::RawTable;
use crate::Error;
use crate::fault::ParquetFault;

/// Rows decoded at a time.
const BATCH: usize = 1024;

/// Reads a table of numbers, flags and words; an absent value becomes an empty cell.
pub(crate) fn read(file: &str, bytes: Vec<u8>, label: Option<&str>, limits: &Limits) -> Result<RawTable, Error> {
    // The decoder is a large third-party parser: should hostile bytes make it panic, that is an error of the file.
    let decode = AssertUnwindSafe(|| decode(file, bytes, limits));
    let panicked = |_| Err(Error::Parquet { file: file.to_owned(), fault: ParquetFault::Panicked });
    let (columns, batches) = catch_unwind(decode).unwrap_or_else(panicked)?;
    let label = label_column(file, &columns, label)?;
    Ok(RawTable::new(file, Format::Parquet, columns, label, batches))
}

fn decode(file: &str, bytes: Vec<u8>, limits: &Limits) -> Result<(Vec<String>, Vec<Batch>), Error> {
    let refuse = |fault| Error::Parquet { file: file.to_owned(), fault };
    let at_most = |what, found, allowed| {
        if found <= allowed { Ok(()) } else { Err(Error::TooLarge { file: file.to_owned(), what, found, allowed }) }
    };
    let bytes = Bytes::from(bytes);
    // The file's own types suffice; the embedded Arrow schema would be one more parser for hostile bytes.
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata =
        ArrowReaderMetadata::load(&bytes, options()).map_err(|error| refuse(ParquetFault::decoder(error)))?;
    let claimed = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    let groups = metadata.metadata().row_groups().iter();
    let size = groups.fold(0, |sum: u64, group| sum.saturating_add(claimed(group.total_byte_size())));
    let names: Vec<String> = metadata.schema().fields().iter().map(|field| field.name().clone()).collect();
    at_most("number of rows", claimed(metadata.metadata().file_metadata().num_rows()), limits.rows)?;
    at_most("number of bytes, decompressed,", size, limits.bytes)?;
    at_most("number of columns", names.len() as u64, limits.columns as u64)?;
    if names.len() < 2 {
        let column = "label, beside at least one feature".into();
        return Err(Error::MissingColumn { file: file.to_owned(), column, found: names });
    }
    for chunk in metadata.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
        // The decoder bounds every page of these by what its header claims, below 2^31 bytes; of others by nothing.
        let bounded = [Compression::UNCOMPRESSED, Compression::SNAPPY];
        if !bounded.contains(&chunk.compression()) && !matches!(chunk.compression(), Compression::ZSTD(_)) {
            let (column, codec) = (chunk.column_path().string(), chunk.compression().to_string());
            return Err(refuse(ParquetFault::Compression { column, codec }));
        }
    }
    let mut seen = HashSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(refuse(ParquetFault::DuplicateColumn { name: name.clone() }));
    }
    let viewed = viewed(metadata.schema()).map_err(refuse)?;
    let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options().with_schema(viewed.clone()))
        .map_err(|error| refuse(ParquetFault::decoder(error)))?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata).with_batch_size(BATCH).build();
    let schema = schema(viewed.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)));
    let (mut rows, mut size) = (0, 0);
    let (mut batches, mut malformed) = (Vec::new(), MalformedRows::default());
    for batch in reader.map_err(|error| refuse(ParquetFault::decoder(error)))? {
        let batch = batch.map_err(|error| refuse(ParquetFault::decoder(error)))?;
        let ids: Vec<u64> = (rows + 1..).take(batch.num_rows()).collect();
        rows += batch.num_rows() as u64;
        at_most("number of rows", rows, limits.rows)?;
        // A dictionary shares its values between rows, so that few bytes can claim to be many; each row's count.
        size += batch.columns().iter().map(|column| size_of(column)).sum::<u64>();
        at_most("number of bytes, decompressed,", size, limits.bytes)?;
        let cells = record(&schema, ids, batch.columns().iter().cloned());
        batches.push(Batch::Cells(
            set_aside(cells, &mut malformed, limits).map_err(|error| refuse(ParquetFault::decoder(error)))?,
        ));
    }
    batches.extend(malformed.finish());
    Ok((names, batches))
}

/// The schema with text and bytes as views, which share the dictionary's values rather than repeat them.
fn viewed(schema: &Schema) -> Result<SchemaRef, ParquetFault> {
    let view = |field: &Arc<Field>| {
        let kind = match field.data_type() {
            DataType::Utf8 => DataType::Utf8View,
            DataType::Binary => DataType::BinaryView,
            other => other.clone(),
        };
        if !is_readable(&kind) {
            return Err(ParquetFault::ColumnType { column: field.name().clone(), kind: kind.to_string() });
        }
        Ok(field.as_ref().clone().with_data_type(kind))
    };
    Ok(Arc::new(Schema::new(schema.fields().iter().map(view).collect::<Result<Vec<_>, _>>()?)))
}

/// The lengths of a column's texts, or nothing of a column of numbers.
fn lengths(column: &dyn Array) -> Option<impl Iterator<Item = u32>> {
    let views = match column.data_type() {
        DataType::Utf8View => column.as_string_view().views(),
        DataType::BinaryView => column.as_binary_view().views(),
        _ => return None,
    };
    // The low 32 bits of a view are its length.
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    Some(views.iter().map(|view| *view as u32))
}

/// Bytes of a column's values.
fn size_of(column: &dyn Array) -> u64 {
    match lengths(column) {
        Some(lengths) => lengths.map(u64::from).sum(),
        None => column.len() as u64 * column.data_type().primitive_width().unwrap_or(1) as u64,
    }
}

/// Moves rows with a cell that is too long to the malformed.
fn set_aside(
    cells: RecordBatch,
    malformed: &mut MalformedRows,
    limits: &Limits,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let mut long = vec![None; cells.num_rows()];
    for (position, column) in cells.columns()[1..].iter().enumerate() {
        for (at, length) in lengths(column).into_iter().flatten().enumerate() {
            if length as usize > limits.cell {
                long[at].get_or_insert(position + 1);
            }
        }
    }
    if long.iter().all(Option::is_none) {
        return Ok(cells);
    }
    let fits: BooleanArray = long.iter().map(|long| Some(long.is_none())).collect();
    let kept = filter_record_batch(&cells, &fits)?;
    let batch = Batch::Cells(cells);
    for (at, long) in long.iter().enumerate() {
        if let Some(cell) = long {
            let row = batch.row(at);
            malformed.push(row.id(), &row.line(), &format!("cell {cell} is longer than {} bytes", limits.cell));
        }
    }
    Ok(kept)
}
