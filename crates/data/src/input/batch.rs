//! Raw rows in Arrow record batches.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, LargeBinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::cell::trimmed;
use super::row::{Cells, RawRow};

/// Most rows of a batch of cells.
const ROWS: usize = 8192;
/// A batch of cells is closed above this many bytes, so that no offset in it overflows 32 bits.
const BYTES: usize = 1 << 28;
/// Longest line that is split into cells.
const LINE: usize = 1 << 28;

/// Rows as they came. The first column of each batch is `row`, their identifiers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Batch {
    /// A column per cell: unchecked bytes (CSV), or the types of a Parquet file.
    Cells(RecordBatch),
    /// `pixels`, fixed-size binary, and `label`, an unsigned byte.
    Images(RecordBatch),
    /// Rows that do not fit the columns: `line`, as it came, and `fault`, why it does not fit.
    MalformedRows(RecordBatch),
}

impl Batch {
    fn record(&self) -> &RecordBatch {
        match self {
            Self::Cells(batch) | Self::Images(batch) | Self::MalformedRows(batch) => batch,
        }
    }

    pub(crate) fn ids(&self) -> &[u64] {
        self.record().column(0).as_primitive::<UInt64Type>().values()
    }

    /// The batch with its columns of cells in another order: of each the position that it had. Images stay as they are.
    pub(crate) fn ordered(&self, order: &[usize]) -> Self {
        match self {
            Self::Cells(batch) => {
                let order: Vec<usize> = [0].into_iter().chain(order.iter().map(|at| at + 1)).collect();
                Self::Cells(batch.project(&order).expect("invariant: the positions are columns"))
            }
            other => other.clone(),
        }
    }

    /// The batch with the text of the columns at `positions` made another where `plain` gives one.
    pub(crate) fn rewritten(self, positions: &[usize], plain: impl Fn(&str) -> Option<Cow<'_, str>>) -> Self {
        let Self::Cells(batch) = &self else { return self };
        let mut columns = batch.columns().to_vec();
        for at in positions {
            let Some(cells) = columns[at + 1].as_binary_opt::<i32>() else { continue };
            let mut rewritten = BinaryBuilder::with_capacity(cells.len(), cells.value_data().len());
            for cell in cells.iter().map(Option::unwrap_or_default) {
                match plain(&trimmed(cell)) {
                    // A plain number is at most one byte longer than it was written, and the batch far from its limit.
                    Some(plain) => rewritten.append_value(plain.as_bytes()),
                    None => rewritten.append_value(cell),
                }
            }
            columns[at + 1] = Arc::new(rewritten.finish());
        }
        let batch = RecordBatch::try_new(batch.schema(), columns).expect("invariant: the columns keep their type");
        Self::Cells(batch)
    }

    /// The row at a position below the number of identifiers.
    pub(crate) fn row(&self, at: usize) -> RawRow<'_> {
        let columns = self.record().columns();
        let cells = match self {
            Self::Cells(_) => Cells::Columns { columns: &columns[1..], at },
            Self::Images(_) => Cells::Image {
                pixels: columns[1].as_fixed_size_binary().value(at),
                label: columns[2].as_primitive::<UInt8Type>().value(at),
            },
            Self::MalformedRows(_) => Cells::Malformed {
                line: columns[1].as_binary::<i64>().value(at),
                fault: columns[2].as_string::<i32>().value(at),
            },
        };
        RawRow::new(self.ids()[at], cells)
    }
}

/// The schema of a batch: `row`, then these columns.
pub(crate) fn schema(columns: impl IntoIterator<Item = Field>) -> SchemaRef {
    let row = Field::new("row", DataType::UInt64, false);
    Arc::new(Schema::new([row].into_iter().chain(columns).collect::<Vec<_>>()))
}

/// A batch of these columns, which fit the schema.
pub(crate) fn record(schema: &SchemaRef, ids: Vec<u64>, columns: impl IntoIterator<Item = ArrayRef>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(UInt64Array::from(ids));
    RecordBatch::try_new(schema.clone(), [ids].into_iter().chain(columns).collect())
        .expect("invariant: the columns are built for the schema")
}

/// Collects rows of text cells, and lines that do not fit them.
pub(crate) struct Builder {
    schema: SchemaRef,
    ids: Vec<u64>,
    cells: Vec<BinaryBuilder>,
    bytes: usize,
    malformed: MalformedRows,
    done: Vec<Batch>,
}

impl Builder {
    pub(crate) fn new(columns: &[String]) -> Self {
        Self {
            schema: schema(columns.iter().map(|name| Field::new(name, DataType::Binary, false))),
            ids: vec![],
            cells: columns.iter().map(|_| BinaryBuilder::with_capacity(0, 0)).collect(),
            bytes: 0,
            malformed: MalformedRows::default(),
            done: vec![],
        }
    }

    /// Adds a row: its cells if there is one for each column, else its line.
    pub(crate) fn push<'a>(&mut self, id: u64, line: &[u8], cells: impl ExactSizeIterator<Item = &'a [u8]>) {
        if cells.len() != self.cells.len() {
            let fault = format!("{} cells, allowed: {}", cells.len(), self.cells.len());
            return self.push_malformed(id, line, &fault);
        }
        if line.len() > LINE {
            return self.push_malformed(
                id,
                line,
                &format!("the line has {} bytes, allowed are at most {LINE}", line.len()),
            );
        }
        self.ids.push(id);
        for (column, cell) in self.cells.iter_mut().zip(cells) {
            column.append_value(cell);
        }
        self.bytes += line.len();
        if self.ids.len() >= ROWS || self.bytes >= BYTES {
            self.close();
        }
    }

    /// Adds a row that does not fit the columns.
    pub(crate) fn push_malformed(&mut self, id: u64, line: &[u8], fault: &str) {
        self.malformed.push(id, line, fault);
    }

    fn close(&mut self) {
        self.bytes = 0;
        let columns = self.cells.iter_mut().map(|column| {
            let mut column = column.finish();
            column.shrink_to_fit();
            Arc::new(column) as ArrayRef
        });
        self.done.push(Batch::Cells(record(&self.schema, std::mem::take(&mut self.ids), columns)));
    }

    pub(crate) fn finish(mut self) -> Vec<Batch> {
        if !self.ids.is_empty() {
            self.close();
        }
        self.done.into_iter().chain(self.malformed.finish()).collect()
    }
}

/// Collects rows that do not fit their columns.
#[derive(Default)]
pub(crate) struct MalformedRows {
    ids: Vec<u64>,
    lines: LargeBinaryBuilder,
    faults: StringBuilder,
}

impl MalformedRows {
    pub(crate) fn push(&mut self, id: u64, line: &[u8], fault: &str) {
        self.ids.push(id);
        self.lines.append_value(line);
        self.faults.append_value(fault);
    }

    /// One batch, or none.
    pub(crate) fn finish(mut self) -> Option<Batch> {
        if self.ids.is_empty() {
            return None;
        }
        let line = Field::new("line", DataType::LargeBinary, false);
        let schema = schema([line, Field::new("fault", DataType::Utf8, false)]);
        let columns: [ArrayRef; 2] = [Arc::new(self.lines.finish()), Arc::new(self.faults.finish())];
        Some(Batch::MalformedRows(record(&schema, self.ids, columns)))
    }
}
