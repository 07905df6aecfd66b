//! One raw cell, as its Arrow column holds it.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::DataType;

/// What a column holds at one position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Text, perhaps.
    Bytes(&'a [u8]),
    Byte(u8),
    Integer(i128),
    Single(f32),
    Double(f64),
    /// No value; as text, nothing.
    Absent,
}

impl<'a> Cell<'a> {
    /// The text as it came, or the shortest that is read as the same number.
    pub(crate) fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Bytes(bytes) => bytes.into(),
            Self::Byte(byte) => byte.to_string().into_bytes().into(),
            Self::Integer(number) => number.to_string().into_bytes().into(),
            Self::Single(number) => number.to_string().into_bytes().into(),
            Self::Double(number) => number.to_string().into_bytes().into(),
            Self::Absent => (&[][..]).into(),
        }
    }

    /// The text without white space around it; bytes that are not UTF-8 are replaced.
    pub(crate) fn text(self) -> Cow<'a, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => trimmed(bytes),
            Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        }
    }

    /// The number, if it is one and finite. A 32-bit number is read from its shortest text, so that a Parquet file and a
    /// CSV file of the same numbers hold the same rows.
    #[allow(clippy::cast_precision_loss, reason = "rounded to nearest, as its text would be")]
    pub(crate) fn number(self) -> Option<f64> {
        let number = match self {
            Self::Byte(byte) => f64::from(byte),
            Self::Integer(number) => number as f64,
            Self::Double(number) => number,
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok()?,
            Self::Single(_) => self.text().parse().ok()?,
            Self::Absent => return None,
        };
        number.is_finite().then_some(number)
    }
}

/// Text without white space around it; bytes that are not UTF-8 are replaced.
pub(crate) fn trimmed(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().into(),
        Err(_) => String::from_utf8_lossy(bytes).trim().to_owned().into(),
    }
}

/// Whether [`cell`] reads a column of this type.
pub(crate) fn is_readable(column: &DataType) -> bool {
    use DataType::{
        BinaryView, Boolean, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Utf8View,
    };
    matches!(
        column,
        BinaryView
            | Utf8View
            | Boolean
            | Int8
            | Int16
            | Int32
            | Int64
            | UInt8
            | UInt16
            | UInt32
            | UInt64
            | Float32
            | Float64
    )
}

/// The cell at a position of a column that [`is_readable`].
pub(crate) fn cell(column: &dyn Array, at: usize) -> Cell<'_> {
    // The columns of a table, by far the most frequent; no cell of them is absent.
    if let Some(cells) = column.as_binary_opt::<i32>() {
        return Cell::Bytes(cells.value(at));
    }
    if column.is_null(at) {
        return Cell::Absent;
    }
    match column.data_type() {
        DataType::BinaryView => Cell::Bytes(column.as_binary_view().value(at)),
        DataType::Utf8View => Cell::Bytes(column.as_string_view().value(at).as_bytes()),
        DataType::Boolean => Cell::Byte(u8::from(column.as_boolean().value(at))),
        DataType::Int8 => integer::<Int8Type>(column, at),
        DataType::Int16 => integer::<Int16Type>(column, at),
        DataType::Int32 => integer::<Int32Type>(column, at),
        DataType::Int64 => integer::<Int64Type>(column, at),
        DataType::UInt8 => integer::<UInt8Type>(column, at),
        DataType::UInt16 => integer::<UInt16Type>(column, at),
        DataType::UInt32 => integer::<UInt32Type>(column, at),
        DataType::UInt64 => integer::<UInt64Type>(column, at),
        DataType::Float32 => Cell::Single(column.as_primitive::<Float32Type>().value(at)),
        DataType::Float64 => Cell::Double(column.as_primitive::<Float64Type>().value(at)),
        _ => Cell::Absent,
    }
}

fn integer<T: ArrowPrimitiveType<Native: Into<i128>>>(column: &dyn Array, at: usize) -> Cell<'_> {
    Cell::Integer(column.as_primitive::<T>().value(at).into())
}
