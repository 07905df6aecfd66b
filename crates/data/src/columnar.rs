//! Parquet.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::Error;
use crate::door::{Door, RawRow};
use crate::source::{Format, Limits};
use crate::table::find_label;

/// Reads a table of numbers, flags and words; an absent value becomes an empty cell.
pub(crate) fn read(file: &str, bytes: Cow<'_, [u8]>, label: Option<&str>, limits: &Limits) -> Result<Door, Error> {
    // The decoder is a large third-party parser: should hostile bytes make it panic, that is an error of the file.
    let decode = AssertUnwindSafe(|| decode(file, bytes.into_owned(), limits));
    let panicked = |_| Err(Error::Parquet { file: file.to_owned(), fault: "the decoder panicked".into() });
    let (columns, rows) = catch_unwind(decode).unwrap_or_else(panicked)?;
    let label = find_label(file, &columns, label)?;
    Ok(Door { name: file.to_owned(), format: Format::Parquet, files: vec![], columns, label, shape: None, rows })
}

fn decode(file: &str, bytes: Vec<u8>, limits: &Limits) -> Result<(Vec<String>, Vec<RawRow>), Error> {
    let refuse = |fault: String| Error::Parquet { file: file.to_owned(), fault };
    // The file's own types say enough; the embedded Arrow schema would be one more parser for hostile bytes.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes::Bytes::from(bytes), options)
        .map_err(|fault| refuse(fault.to_string()))?;
    let metadata = builder.metadata();
    let claimed = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    let rows = claimed(metadata.file_metadata().num_rows());
    let size =
        metadata.row_groups().iter().fold(0, |sum: u64, group| sum.saturating_add(claimed(group.total_byte_size())));
    let columns: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    for (what, found, allowed) in [
        ("number of rows", rows, limits.rows),
        ("number of bytes, decompressed,", size, limits.bytes),
        ("number of columns", columns.len() as u64, limits.columns as u64),
    ] {
        if found > allowed {
            return Err(Error::TooLarge { file: file.to_owned(), what, found, allowed });
        }
    }
    if columns.len() < 2 {
        let column = "label, beside at least one feature".into();
        return Err(Error::MissingColumn { file: file.to_owned(), column, found: columns });
    }
    let batches = builder.with_batch_size(1024).build().map_err(|fault| refuse(fault.to_string()))?;
    let mut rows = Vec::new();
    for batch in batches {
        append(&mut rows, &batch.map_err(|fault| refuse(fault.to_string()))?).map_err(refuse)?;
        if rows.len() as u64 > limits.rows {
            let (what, found) = ("number of rows", rows.len() as u64);
            return Err(Error::TooLarge { file: file.to_owned(), what, found, allowed: limits.rows });
        }
    }
    Ok((columns, rows))
}

fn append(rows: &mut Vec<RawRow>, batch: &RecordBatch) -> Result<(), String> {
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| words(column, field.name())).collect::<Result<Vec<_>, _>>()?;
    for at in 0..batch.num_rows() {
        let id = rows.len() as u64 + 1;
        rows.push(RawRow::text(id, columns.iter().map(|column| column[at].as_str())));
    }
    Ok(())
}

fn words(column: &dyn Array, name: &str) -> Result<Vec<String>, String> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().map(text).collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().map(text).collect(),
        DataType::Utf8View => column.as_string_view().iter().map(text).collect(),
        DataType::Boolean => {
            let flag = |value: Option<bool>| value.map_or(String::new(), |flag| u8::from(flag).to_string());
            column.as_boolean().iter().map(flag).collect()
        }
        DataType::Int8 => numbers::<Int8Type>(column),
        DataType::Int16 => numbers::<Int16Type>(column),
        DataType::Int32 => numbers::<Int32Type>(column),
        DataType::Int64 => numbers::<Int64Type>(column),
        DataType::UInt8 => numbers::<UInt8Type>(column),
        DataType::UInt16 => numbers::<UInt16Type>(column),
        DataType::UInt32 => numbers::<UInt32Type>(column),
        DataType::UInt64 => numbers::<UInt64Type>(column),
        DataType::Float32 => numbers::<Float32Type>(column),
        DataType::Float64 => numbers::<Float64Type>(column),
        other => return Err(format!("column {name:?} is {other}; allowed: numbers, flags and text")),
    })
}

fn numbers<T: ArrowPrimitiveType>(column: &dyn Array) -> Vec<String>
where
    T::Native: ToString,
{
    column.as_primitive::<T>().iter().map(|value| value.map_or(String::new(), |value| value.to_string())).collect()
}
