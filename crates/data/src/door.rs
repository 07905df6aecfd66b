//! Raw rows, as they came.

use std::borrow::Cow;

use underpin_core::{Digest, Shape};

use crate::ledger::Reason;
use crate::source::Format;
use crate::{Error, merkle};

/// Raw rows, where they came from and what their columns are called. Nothing in them is trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Door {
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) files: Vec<(String, Digest)>,
    pub(crate) columns: Vec<String>,
    pub(crate) label: usize,
    pub(crate) shape: Option<Shape>,
    pub(crate) rows: Vec<RawRow>,
}

impl Door {
    /// Name of the file, without its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the file is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Names of the files read and SHA-256 of their bytes, as they lie on disk.
    pub fn files(&self) -> &[(String, Digest)] {
        &self.files
    }

    /// Names of the columns, the label among them.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Position of the label among the columns.
    pub fn label(&self) -> usize {
        self.label
    }

    /// Shape of one example, if it is known to be an image.
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    /// The rows, by increasing identifier.
    pub fn rows(&self) -> &[RawRow] {
        &self.rows
    }

    /// The row `id`.
    pub fn row(&self, id: u64) -> Option<&RawRow> {
        self.rows.binary_search_by_key(&id, |row| row.id).ok().map(|at| &self.rows[at])
    }

    pub(crate) fn set_shape(&mut self, shape: Shape) -> Result<(), Error> {
        let found = self.columns.len() - 1;
        if shape.size() != found {
            let (file, needed) = (self.name.clone(), shape.size());
            return Err(Error::ShapeMismatch { file, shape: shape.into(), needed, found });
        }
        self.shape = Some(shape);
        Ok(())
    }

    pub(crate) fn with_rows(&self, rows: Vec<RawRow>) -> Self {
        Self {
            name: self.name.clone(),
            format: self.format,
            files: self.files.clone(),
            columns: self.columns.clone(),
            label: self.label,
            shape: self.shape.clone(),
            rows,
        }
    }
}

/// One row as it came: cells whose number, encoding and content are unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRow {
    pub(crate) id: u64,
    pub(crate) cells: Cells,
}

/// What a row is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    /// Text, and where each cell ends in it.
    Text { text: Box<str>, ends: Box<[u32]> },
    /// Pixels of an image, then its label.
    Bytes(Box<[u8]>),
    /// A line that could not be split into cells, and why.
    Unreadable { bytes: Box<[u8]>, fault: String },
}

/// Why a cell is refused, with its text.
pub(crate) type Refusal = (Reason, String);

impl RawRow {
    /// A row of text cells.
    pub(crate) fn text<'a>(id: u64, cells: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for cell in cells {
            text.push_str(cell);
            // OK because a line is at most `Limits::bytes` long; above 4 GiB the end saturates and the row is ragged.
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self { id, cells: Cells::Text { text: text.into(), ends: ends.into() } }
    }

    /// Line in the file (CSV) or position in it, from 1; planted rows have fresh ones.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Number of cells; none if the row could not be split.
    pub fn len(&self) -> usize {
        match &self.cells {
            Cells::Text { ends, .. } => ends.len(),
            Cells::Bytes(bytes) => bytes.len(),
            Cells::Unreadable { .. } => 0,
        }
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Text of the cell at `position`, without white space around it.
    pub fn cell(&self, position: usize) -> Option<Cow<'_, str>> {
        match &self.cells {
            Cells::Text { text, ends } => {
                let start = position.checked_sub(1).map_or(0, |before| ends.get(before).map_or(0, |end| *end as usize));
                let end = *ends.get(position)? as usize;
                text.get(start..end).map(|cell| cell.trim().into())
            }
            Cells::Bytes(bytes) => bytes.get(position).map(|byte| byte.to_string().into()),
            Cells::Unreadable { .. } => None,
        }
    }

    /// The cells as text.
    pub fn cells(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.len()).filter_map(|position| self.cell(position))
    }

    /// The row as one line, for people; what could not be split is shown with its invalid bytes replaced.
    pub fn display(&self) -> String {
        match &self.cells {
            Cells::Unreadable { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            _ => self.cells().collect::<Vec<_>>().join(","),
        }
    }

    /// SHA-256 over the raw content, in its own domain: no digest of an admitted row equals it.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = b"underpin raw row v1\0".to_vec();
        match &self.cells {
            Cells::Text { text, ends } => {
                bytes.push(0);
                ends.iter().for_each(|end| bytes.extend(end.to_le_bytes()));
                bytes.push(b'\n');
                bytes.extend(text.as_bytes());
            }
            Cells::Bytes(raw) => {
                bytes.push(1);
                bytes.extend(raw);
            }
            Cells::Unreadable { bytes: raw, .. } => {
                bytes.push(2);
                bytes.extend(raw);
            }
        }
        merkle::sha256(&bytes)
    }

    /// The number in a cell: finite, or the reason why not.
    pub(crate) fn number(&self, position: usize) -> Result<f64, Refusal> {
        if let Cells::Bytes(bytes) = &self.cells
            && let Some(byte) = bytes.get(position)
        {
            return Ok(f64::from(*byte));
        }
        let cell = self.cell(position).unwrap_or_default();
        if is_missing(&cell) {
            return Err((Reason::Missing, cell.into_owned()));
        }
        match cell.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err((Reason::NotANumber, shortened(&cell))),
        }
    }

    /// The label in a cell, in canonical form: `1.0` and `1` are one label, as are `>50K.` and `>50K`.
    pub(crate) fn label(&self, position: usize) -> Option<String> {
        if let Cells::Bytes(bytes) = &self.cells {
            return bytes.get(position).map(u8::to_string);
        }
        let cell = self.cell(position)?;
        if is_missing(&cell) {
            return None;
        }
        match cell.parse::<f64>() {
            Ok(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(format!("{}", number + 0.0)),
            Ok(number) if number.is_nan() => None,
            _ => Some(cell.strip_suffix('.').unwrap_or(&cell).to_owned()),
        }
    }
}

/// Whether a cell says that there is no value.
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
