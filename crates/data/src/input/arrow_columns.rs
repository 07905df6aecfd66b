//! Columns of Arrow arrays as cells can be read from: numbers, flags, text and bytes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, BinaryViewArray, Float64Array, StringViewArray};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use arrow_select::take::take;

use super::cell::is_readable;

/// The type that a column of this type is read as, if it can be: of a dictionary its values, of dates the days or
/// milliseconds since 1970, of times and durations their number in their unit, of decimals the nearest double.
pub(super) fn read_as(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        kind if is_readable(kind) => kind.clone(),
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Float16 => DataType::Float32,
        DataType::Date32 | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond) => DataType::Int32,
        DataType::Date64
        | DataType::Timestamp(..)
        | DataType::Duration(_)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Int64,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Float64
        }
        DataType::Dictionary(_, values) if !matches!(**values, DataType::Dictionary(..)) => read_as(values)?,
        _ => return None,
    })
}

/// Why a column of this type is left out.
pub(super) fn unreadable(kind: &DataType) -> String {
    let shown: String = kind.to_string().chars().take(60).collect();
    format!("its values are {shown}, allowed: numbers, dates, times, flags, text and bytes")
}

/// The column as the type that [`read_as`] gives.
pub(super) fn converted(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match column.data_type() {
        kind if is_readable(kind) => column.clone(),
        DataType::Utf8 => Arc::new(StringViewArray::from(column.as_string::<i32>())),
        DataType::LargeUtf8 => Arc::new(StringViewArray::from(column.as_string::<i64>())),
        DataType::Binary => Arc::new(BinaryViewArray::from(column.as_binary::<i32>())),
        DataType::LargeBinary => Arc::new(BinaryViewArray::from(column.as_binary::<i64>())),
        DataType::Float16 => Arc::new(
            column
                .as_primitive::<Float16Type>()
                .unary::<_, Float32Type>(<Float16Type as ArrowPrimitiveType>::Native::to_f32),
        ),
        DataType::Date32 => cast::<Date32Type, Int32Type>(column),
        DataType::Time32(TimeUnit::Second) => cast::<Time32SecondType, Int32Type>(column),
        DataType::Time32(_) => cast::<Time32MillisecondType, Int32Type>(column),
        DataType::Date64 => cast::<Date64Type, Int64Type>(column),
        DataType::Time64(TimeUnit::Microsecond) => cast::<Time64MicrosecondType, Int64Type>(column),
        DataType::Time64(_) => cast::<Time64NanosecondType, Int64Type>(column),
        DataType::Timestamp(TimeUnit::Second, _) => cast::<TimestampSecondType, Int64Type>(column),
        DataType::Timestamp(TimeUnit::Millisecond, _) => cast::<TimestampMillisecondType, Int64Type>(column),
        DataType::Timestamp(TimeUnit::Microsecond, _) => cast::<TimestampMicrosecondType, Int64Type>(column),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => cast::<TimestampNanosecondType, Int64Type>(column),
        DataType::Duration(TimeUnit::Second) => cast::<DurationSecondType, Int64Type>(column),
        DataType::Duration(TimeUnit::Millisecond) => cast::<DurationMillisecondType, Int64Type>(column),
        DataType::Duration(TimeUnit::Microsecond) => cast::<DurationMicrosecondType, Int64Type>(column),
        DataType::Duration(TimeUnit::Nanosecond) => cast::<DurationNanosecondType, Int64Type>(column),
        DataType::Decimal32(..) => decimal::<Decimal32Type>(column),
        DataType::Decimal64(..) => decimal::<Decimal64Type>(column),
        DataType::Decimal128(..) => decimal::<Decimal128Type>(column),
        DataType::Decimal256(..) => decimal::<Decimal256Type>(column),
        // Views share the bytes of a value between the rows that have it.
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            take(&converted(dictionary.values())?, dictionary.keys(), None)?
        }
        other => return Err(ArrowError::CastError(format!("{other} is no type that cells are read from"))),
    })
}

fn cast<From: ArrowPrimitiveType, To: ArrowPrimitiveType<Native = From::Native>>(column: &ArrayRef) -> ArrayRef {
    Arc::new(column.as_primitive::<From>().reinterpret_cast::<To>())
}

fn decimal<T: DecimalType>(column: &ArrayRef) -> ArrayRef {
    let column = column.as_primitive::<T>();
    let value = |at: usize| (!column.is_null(at)).then(|| column.value_as_string(at).parse::<f64>().ok()).flatten();
    Arc::new((0..column.len()).map(value).collect::<Float64Array>())
}
