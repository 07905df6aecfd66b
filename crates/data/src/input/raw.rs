//! A table of raw rows as they came from a file, unchecked.

use underpin_core::{Shape, Subject};

use super::batch::Batch;
use super::format::Format;
use super::row::RawRow;
use crate::Error;

/// Raw rows in Arrow, where they came from and what their columns are called. Nothing in them is trusted.
///
/// The rows are a selection from record batches that parts of a file share, so a clone or a split copies no cell.
#[derive(Clone, Debug, PartialEq)]
pub struct RawTable {
    name: String,
    format: Format,
    files: Vec<Subject>,
    columns: Vec<String>,
    label: usize,
    shape: Option<Shape>,
    batches: Vec<Batch>,
    rows: Vec<Place>,
}

/// Where a row lies: which batch, and which row of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    batch: usize,
    at: usize,
}

impl RawTable {
    /// All rows of the batches, whose identifiers differ.
    pub(crate) fn new(name: &str, format: Format, columns: Vec<String>, label: usize, batches: Vec<Batch>) -> Self {
        let name = name.to_owned();
        let mut raw_table =
            Self { name, format, files: vec![], columns, label, shape: None, batches: vec![], rows: vec![] };
        raw_table.add(batches);
        raw_table
    }

    fn add(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            let places = (0..batch.ids().len()).map(|at| Place { batch: self.batches.len(), at });
            self.rows.extend(places);
            self.batches.push(batch);
        }
        let Self { batches, rows, .. } = self;
        rows.sort_by_key(|place| batches[place.batch].ids()[place.at]);
    }

    /// Name of the file, without its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the file is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Names of the files read and SHA-256 of their bytes, as they lie on disk.
    pub fn files(&self) -> &[Subject] {
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

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, by increasing identifier.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = RawRow<'_>> + Clone {
        self.rows.iter().map(|place| self.at(*place))
    }

    /// The row `id`.
    pub fn row(&self, id: u64) -> Option<RawRow<'_>> {
        let id_of = |place: &Place| self.batches[place.batch].ids()[place.at];
        self.rows.binary_search_by_key(&id, id_of).ok().map(|position| self.nth(position))
    }

    /// The row at a position below [`RawTable::len`].
    pub(crate) fn nth(&self, position: usize) -> RawRow<'_> {
        self.at(self.rows[position])
    }

    fn at(&self, place: Place) -> RawRow<'_> {
        self.batches[place.batch].row(place.at)
    }

    pub(crate) fn with_files(mut self, files: Vec<Subject>) -> Self {
        self.files = files;
        self
    }

    pub(crate) fn with_shape(mut self, shape: Shape) -> Result<Self, Error> {
        let found = self.columns.len() - 1;
        if shape.size() != found {
            let (file, needed) = (self.name, shape.size());
            return Err(Error::ShapeMismatch { file, shape: shape.into(), needed, found });
        }
        self.shape = Some(shape);
        Ok(self)
    }

    /// The rows at the positions that `chosen` accepts.
    pub(crate) fn select(mut self, chosen: impl Fn(usize) -> bool) -> Self {
        let mut position = 0..;
        self.rows.retain(|_| position.next().is_some_and(&chosen));
        self
    }

    /// These rows and those of more batches.
    pub(crate) fn with(mut self, batches: Vec<Batch>) -> Self {
        self.add(batches);
        self
    }
}
