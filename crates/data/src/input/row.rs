//! One raw row: a view of its cells, whose number, encoding and content are unchecked.

use std::borrow::Cow;

use arrow_array::ArrayRef;
use underpin_core::Digest;

use super::cell::{Cell, cell};
use crate::record::Reason;

/// One row as it came: cells whose encoding and content are unchecked, or a line that does not fit the columns.
#[derive(Clone, Copy, Debug)]
pub struct RawRow<'a> {
    id: u64,
    cells: Cells<'a>,
}

/// Where a row's cells lie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cells<'a> {
    /// At one position of every column.
    Columns { columns: &'a [ArrayRef], at: usize },
    /// The pixels of an image, then its label.
    Image { pixels: &'a [u8], label: u8 },
    /// In a line that does not fit the columns, and why.
    Malformed { line: &'a [u8], fault: &'a str },
}

/// Why a cell is rejected, with its text.
pub(crate) type Refusal = (Reason, String);

impl<'a> RawRow<'a> {
    pub(crate) fn new(id: u64, cells: Cells<'a>) -> Self {
        Self { id, cells }
    }

    /// Line in the file (CSV) or position in it, from 1; injected rows have fresh ones.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Why the row does not fit the file's columns, if it does not; then it has no cells, only its line.
    pub fn fault(&self) -> Option<&'a str> {
        match self.cells {
            Cells::Malformed { fault, .. } => Some(fault),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self.cells {
            Cells::Columns { columns, .. } => columns.len(),
            Cells::Image { pixels, .. } => pixels.len() + 1,
            Cells::Malformed { .. } => 0,
        }
    }

    fn raw(&self, position: usize) -> Option<Cell<'a>> {
        match self.cells {
            Cells::Columns { columns, at } => columns.get(position).map(|column| cell(column, at)),
            Cells::Image { pixels, label } => {
                let label = (position == pixels.len()).then_some(&label);
                pixels.get(position).or(label).map(|byte| Cell::Byte(*byte))
            }
            Cells::Malformed { .. } => None,
        }
    }

    fn raw_cells(&self) -> impl Iterator<Item = Cell<'a>> {
        let row = *self;
        (0..self.len()).filter_map(move |position| row.raw(position))
    }

    /// Text of the cell at `position`, without white space around it; bytes that are not UTF-8 are replaced.
    pub fn cell(&self, position: usize) -> Option<Cow<'a, str>> {
        self.raw(position).map(Cell::text)
    }

    /// The cells as text.
    pub fn cells(&self) -> impl Iterator<Item = Cow<'a, str>> {
        self.raw_cells().map(Cell::text)
    }

    /// The row as one line: as it came if it does not fit the columns, else its cells, quoted by RFC 4180.
    #[allow(clippy::missing_panics_doc, reason = "`expect(\"invariant\")` panics on our own bug only")]
    pub fn line(&self) -> Vec<u8> {
        if let Cells::Malformed { line, .. } = self.cells {
            return line.to_vec();
        }
        let mut writer =
            csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::Any(b'\n')).from_writer(vec![]);
        let written = writer.write_record(self.raw_cells().map(Cell::bytes));
        written.expect("invariant: memory takes any record");
        let mut line = writer.into_inner().expect("invariant: memory can be flushed");
        line.pop();
        line
    }

    /// Position of the first cell that is not UTF-8, and its bytes.
    pub(crate) fn not_text(&self) -> Option<(usize, &'a [u8])> {
        let Cells::Columns { columns, at } = self.cells else { return None };
        let invalid = |(position, column): (usize, &'a ArrayRef)| match cell(column, at) {
            Cell::Bytes(bytes) if std::str::from_utf8(bytes).is_err() => Some((position, bytes)),
            _ => None,
        };
        columns.iter().enumerate().find_map(invalid)
    }

    /// SHA-256 over `"underpin raw row v2" 0`, then `c` and each cell's text as it came, after its length in bytes
    /// (`u64`, little endian); or `l` and the line that does not fit the columns. No digest of an admitted row equals it.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = b"underpin raw row v2\0".to_vec();
        if let Cells::Malformed { line, .. } = self.cells {
            bytes.push(b'l');
            bytes.extend(line);
        } else {
            bytes.push(b'c');
            for cell in self.raw_cells() {
                let cell = cell.bytes();
                bytes.extend((cell.len() as u64).to_le_bytes());
                bytes.extend(&*cell);
            }
        }
        Digest::of(&bytes)
    }

    /// The number in a cell: finite, or the reason why not.
    pub(crate) fn number(&self, position: usize) -> Result<f64, Refusal> {
        let cell = self.raw(position).unwrap_or(Cell::Absent);
        cell.number().ok_or_else(|| {
            let text = cell.text();
            let reason = if is_missing(&text) { Reason::Missing } else { Reason::NotANumber };
            (reason, shortened(&text))
        })
    }

    /// The label in a cell: its text, whatever it is, without white space around it; none of an empty cell.
    pub(crate) fn label(&self, position: usize) -> Option<String> {
        self.cell(position).filter(|label| !label.is_empty()).map(Cow::into_owned)
    }
}

/// Whether a cell stands for a missing value.
pub(crate) fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "?" | "NA" | "N/A" | "null" | "NULL" | "None")
}

/// At most 40 characters of a value, for messages.
pub(crate) fn shortened(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}
