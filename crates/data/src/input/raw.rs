//! A table of raw rows as they came from a file, unchecked.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use underpin_core::{Shape, Subject};

use super::batch::Batch;
use super::dialect::Dialect;
use super::encoding::Encoding;
use super::format::Format;
use super::label_by::LabelBy;
use super::left_out::LeftOut;
use super::limits::Limits;
use super::long_cells::set_aside;
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
    dialect: Option<Dialect>,
    label_by: LabelBy,
    /// Whether a final point was taken off the labels.
    pointed: bool,
    left_out: Vec<LeftOut>,
    kept: Vec<String>,
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
        let mut raw_table = Self {
            name,
            format,
            files: vec![],
            columns,
            label,
            shape: None,
            dialect: None,
            label_by: LabelBy::Last,
            pointed: false,
            left_out: vec![],
            kept: vec![],
            batches: vec![],
            rows: vec![],
        };
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

    /// Names of the columns, the label and those left out among them.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Position of the label among the columns.
    pub fn label(&self) -> usize {
        self.label
    }

    /// How the label was found.
    pub fn label_by(&self) -> LabelBy {
        self.label_by
    }

    /// How the file is written, if it is text.
    pub fn dialect(&self) -> Option<&Dialect> {
        self.dialect.as_ref()
    }

    /// The columns of the file that are no features, and why. Those whose values cannot be read are not among
    /// [`RawTable::columns`]; the cells of all others are there, and nothing looks at them.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What was found in the file rather than asked for, a line each: the dialect, the label and each column left out.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(dialect) = &self.dialect {
            notes.push(dialect.to_string());
            if dialect.encoding == Encoding::Latin1 {
                notes.push("the file is not UTF-8: it was read as Latin-1".into());
            }
        }
        notes.push(format!("label {:?}: {}", self.columns[self.label], self.label_by));
        if self.pointed {
            notes.push("each label ends in a point, which is none of the label's".into());
        }
        notes.extend(self.left_out.iter().map(LeftOut::to_string));
        notes
    }

    /// Positions of the columns that are neither the label nor left out.
    pub(crate) fn features(&self) -> Vec<usize> {
        let left_out: HashSet<&str> = self.left_out.iter().map(|left_out| left_out.column.as_str()).collect();
        let feature = |at: &usize| *at != self.label && !left_out.contains(self.columns[*at].as_str());
        (0..self.columns.len()).filter(feature).collect()
    }

    /// Whether a column is read as a feature whatever its values look like.
    pub(crate) fn is_kept(&self, column: &str) -> bool {
        self.kept.iter().any(|kept| kept == column)
    }

    /// The cells of a column, in the rows that fit the columns.
    pub(crate) fn column(&self, at: usize) -> impl Iterator<Item = Cow<'_, str>> {
        self.rows().filter_map(move |row| row.cell(at))
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

    pub(crate) fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    pub(crate) fn with_label(self, label: usize, label_by: LabelBy) -> Self {
        Self { label, label_by, ..self }
    }

    pub(crate) fn with_left_out(self, left_out: Vec<LeftOut>, kept: Vec<String>) -> Self {
        Self { left_out, kept, ..self }
    }

    /// The table with the final point taken off its labels, where each has one and is one of `known` without it: so
    /// `adult.test` of UCI writes the labels of `adult.data`. Otherwise labels are never changed.
    #[must_use]
    pub fn without_final_points(self, known: &[String]) -> Self {
        let pointed = |label: String| label.strip_suffix('.').is_some_and(|class| known.iter().any(|one| one == class));
        let labels = || self.rows().filter_map(|row| row.label(self.label));
        if labels().next().is_none() || !labels().all(pointed) {
            return self;
        }
        let label = self.label;
        Self { pointed: true, ..self.rewritten(&[label], |text| text.trim_end().strip_suffix('.').map(Cow::Borrowed)) }
    }

    /// The labels of the rows, each once, in order of their text.
    fn labels(&self) -> Vec<String> {
        self.rows().filter_map(|row| row.label(self.label)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The table with the text of some columns made another where `plain` gives one.
    pub(crate) fn rewritten(mut self, columns: &[usize], plain: impl Fn(&str) -> Option<Cow<'_, str>>) -> Self {
        if !columns.is_empty() {
            self.batches = self.batches.into_iter().map(|batch| batch.rewritten(columns, &plain)).collect();
        }
        self
    }

    /// The table with the rows malformed whose label or features have too many bytes.
    pub(crate) fn without_long_cells(mut self, limits: &Limits) -> Self {
        let looked_at: Vec<usize> = self.features().into_iter().chain([self.label]).collect();
        let batches = std::mem::take(&mut self.batches);
        self.rows.clear();
        self.add(set_aside(batches, &looked_at, limits.cell));
        self
    }

    /// The table with its columns bound by name to those of `train`, in their order: the label is that of `train`, and what
    /// `train` leaves out is left out here. A column that `train` does not have is left out. Labels of UCI's test files lose
    /// their final point ([`RawTable::without_final_points`]).
    ///
    /// # Errors
    ///
    /// [`Error::MissingColumn`] naming a column that `train` has and uses and this table has not;
    /// [`Error::ImageColumns`] when the columns of an IDX file would have to change their order.
    pub fn bound_to(mut self, train: &Self) -> Result<Self, Error> {
        let places: HashMap<&str, usize> =
            self.columns.iter().enumerate().map(|(at, column)| (column.as_str(), at)).collect();
        let left_out: HashSet<&str> = train.left_out.iter().map(|left_out| left_out.column.as_str()).collect();
        let mut order = Vec::with_capacity(self.columns.len());
        let mut label = 0;
        for (at, column) in train.columns.iter().enumerate() {
            match places.get(column.as_str()) {
                Some(place) => {
                    if at == train.label {
                        label = order.len();
                    }
                    order.push(*place);
                }
                None if left_out.contains(column.as_str()) => {}
                None => {
                    let (file, column, found) = (self.name, column.clone(), self.columns);
                    return Err(Error::MissingColumn { file, column, found });
                }
            }
        }
        let ours: HashSet<usize> = order.iter().copied().collect();
        let others: Vec<usize> = (0..self.columns.len()).filter(|at| !ours.contains(at)).collect();
        let reason = format!("{} has no such column", train.name);
        let strange = others.iter().map(|at| LeftOut { column: self.columns[*at].clone(), reason: reason.clone() });
        let left_out: Vec<LeftOut> = train.left_out.iter().cloned().chain(strange).collect();
        order.extend(others);
        let moved = order.iter().enumerate().any(|(at, place)| at != *place);
        if moved && self.batches.iter().any(|batch| matches!(batch, Batch::Images(_))) {
            return Err(Error::ImageColumns { file: self.name, other: train.name.clone() });
        }
        if moved {
            self.batches = self.batches.iter().map(|batch| batch.ordered(&order)).collect();
            self.columns = order.iter().map(|at| self.columns[*at].clone()).collect();
        }
        let bound = Self { label, label_by: train.label_by, left_out, kept: train.kept.clone(), ..self };
        Ok(bound.without_final_points(&train.labels()))
    }

    pub(crate) fn with_files(mut self, files: Vec<Subject>) -> Self {
        self.files = files;
        self
    }

    pub(crate) fn with_shape(mut self, shape: Shape) -> Result<Self, Error> {
        let found = self.features().len();
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
