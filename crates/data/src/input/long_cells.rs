//! Sets rows aside whose cells have too many bytes.

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;

use super::batch::{Batch, MalformedRows};

/// The lengths of a column's texts, or nothing of a column of numbers.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "low bits are meant; offsets increase")]
pub(super) fn lengths(column: &dyn Array) -> Option<Box<dyn Iterator<Item = u32> + '_>> {
    // The low 32 bits of a view are its length.
    let length = |view: &u128| *view as u32;
    match column.data_type() {
        DataType::Utf8View => Some(Box::new(column.as_string_view().views().iter().map(length))),
        DataType::BinaryView => Some(Box::new(column.as_binary_view().views().iter().map(length))),
        DataType::Binary => {
            let offsets = column.as_binary::<i32>().value_offsets();
            Some(Box::new(offsets.windows(2).map(|ends| (ends[1] - ends[0]) as u32)))
        }
        _ => None,
    }
}

/// Bytes of a column's values.
pub(super) fn size_of(column: &dyn Array) -> u64 {
    match lengths(column) {
        Some(lengths) => lengths.map(u64::from).sum(),
        None => column.len() as u64 * column.data_type().primitive_width().unwrap_or(1) as u64,
    }
}

/// Moves rows with more than `longest` bytes in one of the columns at `positions` to the malformed.
pub(super) fn set_aside(batches: Vec<Batch>, positions: &[usize], longest: usize) -> Vec<Batch> {
    let mut malformed = MalformedRows::default();
    let mut kept: Vec<Batch> = Vec::with_capacity(batches.len());
    for batch in batches {
        match batch {
            Batch::Cells(cells) => kept.push(Batch::Cells(short(cells, positions, longest, &mut malformed))),
            other => kept.push(other),
        }
    }
    kept.into_iter().chain(malformed.finish()).collect()
}

fn short(cells: RecordBatch, positions: &[usize], longest: usize, malformed: &mut MalformedRows) -> RecordBatch {
    let mut long = vec![None; cells.num_rows()];
    for position in positions {
        for (at, length) in lengths(cells.column(position + 1)).into_iter().flatten().enumerate() {
            if length as usize > longest {
                long[at].get_or_insert(position + 1);
            }
        }
    }
    if long.iter().all(Option::is_none) {
        return cells;
    }
    let fits: BooleanArray = long.iter().map(|long| Some(long.is_none())).collect();
    let kept = filter_record_batch(&cells, &fits).expect("invariant: there is one flag for each row");
    let batch = Batch::Cells(cells);
    for (at, long) in long.iter().enumerate() {
        if let Some(cell) = long {
            let row = batch.row(at);
            malformed.push(row.id(), &row.line(), &format!("cell {cell} is longer than {longest} bytes"));
        }
    }
    kept
}
