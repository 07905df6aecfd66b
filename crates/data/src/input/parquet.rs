//! Reads Parquet files into raw rows.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::arrow_columns::{converted, read_as, unreadable as unreadable_as};
use super::batch::{Batch, record, schema};
use super::format::Format;
use super::left_out::LeftOut;
use super::limits::Limits;
use super::long_cells::size_of;
use super::parquet_pages::are_bounded;
use super::raw::RawTable;
use super::settle::Unsettled;
use crate::Error;
use crate::fault::ParquetFault;

/// Names of the columns that can be read, their cells, and the columns that cannot.
struct Decoded {
    columns: Vec<String>,
    batches: Vec<Batch>,
    left_out: Vec<LeftOut>,
}

/// Rows decoded at a time.
const BATCH: usize = 1024;

/// Reads a table of numbers, flags, times and words; an absent value becomes an empty cell, and a column of anything else
/// is left out.
pub(super) fn read(file: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Unsettled, Error> {
    // The decoder is a large third-party parser: should hostile bytes make it panic, that is an error of the file.
    let decode = AssertUnwindSafe(|| decode(file, bytes, limits));
    let panicked = |_| Err(Error::Parquet { file: file.to_owned(), fault: ParquetFault::Panicked });
    let Decoded { columns, batches, left_out } = catch_unwind(decode).unwrap_or_else(panicked)?;
    Ok(Unsettled::named(RawTable::new(file, Format::Parquet, columns, 0, batches), left_out))
}

fn decode(file: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Decoded, Error> {
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
    let mut seen = HashSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(refuse(ParquetFault::DuplicateColumn { name: name.clone() }));
    }
    let fields = metadata.schema().fields().clone();
    let (roots, unreadable): (Vec<usize>, Vec<usize>) =
        (0..fields.len()).partition(|root| read_as(fields[*root].data_type()).is_some());
    let left_out =
        |root: &usize| LeftOut { column: names[*root].clone(), reason: unreadable_as(fields[*root].data_type()) };
    let left_out: Vec<LeftOut> = unreadable.iter().map(left_out).collect();
    if roots.len() < 2 {
        return Err(Error::NoFeatures { file: file.to_owned(), left_out });
    }
    for chunk in metadata.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let root = chunk.column_path().parts().first();
        if roots.iter().any(|at| Some(&names[*at]) == root) {
            let bounded =
                pages(&bytes, chunk).is_some_and(|pages| are_bounded(pages, chunk.compression(), limits.bytes));
            if !bounded {
                let (column, codec) = (chunk.column_path().string(), chunk.compression().to_string());
                return Err(refuse(ParquetFault::Compression { column, codec }));
            }
        }
    }
    let viewed = viewed(metadata.schema());
    let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options().with_schema(viewed.clone()))
        .map_err(|error| refuse(ParquetFault::decoder(error)))?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.iter().copied());
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata)
        .with_projection(mask)
        .with_batch_size(BATCH)
        .build();
    let read = |root: &usize| {
        let kind = read_as(viewed.field(*root).data_type()).expect("invariant: unreadable columns are left out");
        Field::new(&names[*root], kind, true)
    };
    let schema = schema(roots.iter().map(read));
    let (mut rows, mut size) = (0, 0);
    let mut batches = Vec::new();
    for batch in reader.map_err(|error| refuse(ParquetFault::decoder(error)))? {
        let batch = batch.map_err(|error| refuse(ParquetFault::decoder(error)))?;
        let ids: Vec<u64> = (rows + 1..).take(batch.num_rows()).collect();
        rows += batch.num_rows() as u64;
        at_most("number of rows", rows, limits.rows)?;
        let columns = batch.columns().iter().map(converted).collect::<Result<Vec<_>, _>>();
        let columns = columns.map_err(|error| refuse(ParquetFault::decoder(error)))?;
        // A dictionary shares its values between rows, so that few bytes can claim to be many; each row's count.
        size += columns.iter().map(|column| size_of(column)).sum::<u64>();
        at_most("number of bytes, decompressed,", size, limits.bytes)?;
        batches.push(Batch::Cells(record(&schema, ids, columns)));
    }
    let columns = roots.into_iter().map(|root| names[root].clone()).collect();
    Ok(Decoded { columns, batches, left_out })
}

/// The bytes of a column chunk.
fn pages<'a>(bytes: &'a [u8], chunk: &ColumnChunkMetaData) -> Option<&'a [u8]> {
    let (start, length) = chunk.byte_range();
    let (start, length) = (usize::try_from(start).ok()?, usize::try_from(length).ok()?);
    bytes.get(start..start.checked_add(length)?)
}

/// The schema with text and bytes as views, which share the dictionary's values rather than repeat them.
fn viewed(schema: &Schema) -> SchemaRef {
    let view = |field: &Arc<Field>| {
        let kind = match field.data_type() {
            DataType::Utf8 => DataType::Utf8View,
            DataType::Binary => DataType::BinaryView,
            other => other.clone(),
        };
        field.as_ref().clone().with_data_type(kind)
    };
    Arc::new(Schema::new(schema.fields().iter().map(view).collect::<Vec<_>>()))
}
