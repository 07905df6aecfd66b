//! A contract bound to the columns of a file: raw cells to features, and back.

use std::collections::HashMap;

use underpin_core::Trigger;

use super::contract::{Contract, Kind};
use super::scale::Scale;
use crate::Error;
use crate::input::{RawRow, RawTable, Refusal, shortened};
use crate::record::Reason;

/// Where one column's cell lies, and where its features go.
struct Field<'a> {
    cell: usize,
    name: &'a str,
    kind: Code<'a>,
    feature: usize,
}

enum Code<'a> {
    Number(Scale),
    Category { values: &'a [String], positions: HashMap<&'a str, usize> },
}

/// A contract bound to the columns of a file.
pub(crate) struct Encoder<'a> {
    fields: Vec<Field<'a>>,
    contract: &'a Contract,
    classes: HashMap<&'a str, usize>,
    label: usize,
    columns: &'a [String],
}

/// A row that keeps the contract.
pub(crate) struct Encoded {
    pub(crate) values: Vec<f32>,
    pub(crate) label: usize,
    /// Number of values that were clamped.
    pub(crate) clamped: usize,
}

impl<'a> Encoder<'a> {
    /// Finds the contract's columns among the file's.
    pub(crate) fn new(contract: &'a Contract, raw_table: &'a RawTable) -> Result<Self, Error> {
        let missing = |column: &str| Error::MissingColumn {
            file: raw_table.name().to_owned(),
            column: column.to_owned(),
            found: raw_table.columns().to_vec(),
        };
        let position =
            |name: &str| raw_table.columns().iter().position(|column| column == name).ok_or_else(|| missing(name));
        let label = position(contract.label())?;
        let mut fields = Vec::new();
        let mut feature = 0;
        for column in contract.columns() {
            match &column.kind {
                Kind::Ignored { .. } => {}
                Kind::Pixels { count, max } => {
                    // The label is that of the contract, which need not be the table's.
                    let features = (0..raw_table.columns().len()).filter(|at| *at != label);
                    let left_out = |at: &usize| {
                        raw_table.left_out().iter().any(|left_out| left_out.column == raw_table.columns()[*at])
                    };
                    let cells: Vec<usize> = features.filter(|at| !left_out(at)).collect();
                    if *count != cells.len() {
                        let (file, shape) = (raw_table.name().to_owned(), contract.shape().axes().to_vec());
                        let found = cells.len();
                        return Err(Error::ShapeMismatch { file, shape, needed: *count, found });
                    }
                    fields.extend(cells.into_iter().enumerate().map(|(feature, cell)| Field {
                        cell,
                        name: &raw_table.columns()[cell],
                        kind: Code::Number(Scale::new(0.0, *max, 0.0)),
                        feature,
                    }));
                }
                Kind::Number { min, max, slack } => {
                    let kind = Code::Number(Scale::new(*min, *max, *slack));
                    fields.push(Field { cell: position(&column.name)?, name: &column.name, kind, feature });
                }
                Kind::Category { values } => {
                    let positions = values.iter().enumerate().map(|(at, value)| (value.as_str(), at)).collect();
                    let kind = Code::Category { values, positions };
                    fields.push(Field { cell: position(&column.name)?, name: &column.name, kind, feature });
                }
            }
            feature += column.kind.width();
        }
        let classes = contract.classes().iter().enumerate().map(|(at, class)| (class.as_str(), at)).collect();
        Ok(Self { fields, contract, classes, label, columns: raw_table.columns() })
    }

    /// The row's features and label, or why it breaks the contract: column, value and what is allowed.
    pub(crate) fn encode(&self, row: RawRow<'_>) -> Result<Encoded, Refusal> {
        if let Some(fault) = row.fault() {
            return Err((Reason::Malformed, fault.to_owned()));
        }
        if let Some((position, bytes)) = row.not_text() {
            let (name, shown) = (&self.columns[position], bytes[..bytes.len().min(40)].escape_ascii());
            return Err((Reason::Malformed, format!("column {name:?} is b\"{shown}\", allowed: UTF-8 text")));
        }
        let mut values = vec![0.0; self.contract.shape().size()];
        let mut clamped = 0;
        for field in &self.fields {
            clamped += usize::from(field.encode(&row, &mut values)?);
        }
        Ok(Encoded { values, label: self.class(&row)?, clamped })
    }

    fn class(&self, row: &RawRow<'_>) -> Result<usize, Refusal> {
        let name = self.contract.label();
        let Some(label) = row.label(self.label) else {
            return Err((Reason::Missing, format!("label {name:?} is missing")));
        };
        self.classes.get(label.as_str()).copied().ok_or_else(|| {
            let shown = self.contract.classes().iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            (Reason::UnknownClass, format!("label {name:?} is {:?}, allowed: {shown}", shortened(&label)))
        })
    }

    /// Texts of all cells of a row with these features and class; cells of columns left out are taken from `like`.
    pub(crate) fn decode(&self, values: &[f32], class: usize, like: &RawRow<'_>) -> Vec<String> {
        let mut cells: Vec<String> = like.cells().map(std::borrow::Cow::into_owned).collect();
        for field in &self.fields {
            cells[field.cell] = field.decode(values);
        }
        cells[self.label].clone_from(&self.contract.classes()[class]);
        cells
    }

    /// Puts a trigger on features; a category that it sets takes the place of the one that was set.
    pub(crate) fn stamp(&self, values: &mut [f32], trigger: &Trigger) {
        for field in &self.fields {
            if let Code::Category { values: words, .. } = &field.kind {
                let range = field.feature..field.feature + words.len();
                if trigger.features.iter().any(|(at, value)| range.contains(at) && *value > 0.5) {
                    values[range].fill(0.0);
                }
            }
        }
        trigger.stamp(values);
    }

    /// Moves the features of numeric columns, within `[0, 1]`.
    pub(crate) fn jitter(&self, values: &mut [f32], mut by: impl FnMut() -> f32) {
        for field in self.fields.iter().filter(|field| matches!(field.kind, Code::Number(_))) {
            let value = &mut values[field.feature];
            *value = (*value + by()).clamp(0.0, 1.0);
        }
    }

    /// Position of the label's cell.
    pub(crate) fn label(&self) -> usize {
        self.label
    }

    /// Cells of numeric columns with a text beyond what the contract clamps.
    pub(crate) fn out_of_range(&self) -> Vec<(usize, String)> {
        let beyond = |field: &Field<'_>| match &field.kind {
            Code::Number(scale) => Some((field.cell, scale.beyond().to_string())),
            Code::Category { .. } => None,
        };
        self.fields.iter().filter_map(beyond).collect()
    }
}

impl Field<'_> {
    fn refuse(&self, (reason, value): Refusal, allowed: &str) -> Refusal {
        (reason, format!("column {:?} is {value:?}, allowed: {allowed}", self.name))
    }

    /// Writes the features; returns whether the value was clamped.
    fn encode(&self, row: &RawRow<'_>, values: &mut [f32]) -> Result<bool, Refusal> {
        match &self.kind {
            Code::Number(scale) => {
                let number = row.number(self.cell).map_err(|fault| self.refuse(fault, "a finite number"))?;
                let Some((value, clamped)) = scale.feature(number) else {
                    let shown = shortened(&row.cell(self.cell).unwrap_or_default());
                    return Err(self.refuse((Reason::OutOfRange, shown), &scale.allowed()));
                };
                values[self.feature] = value;
                Ok(clamped)
            }
            Code::Category { values: allowed, positions } => {
                let cell = row.cell(self.cell).unwrap_or_default();
                let Some(at) = positions.get(&*cell) else {
                    let mut shown = allowed.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
                    if row.number(self.cell).is_ok() {
                        shown += " (the contract has categories here, no numbers)";
                    }
                    return Err(self.refuse((Reason::UnknownCategory, shortened(&cell)), &shown));
                };
                values[self.feature + at] = 1.0;
                Ok(false)
            }
        }
    }

    fn decode(&self, values: &[f32]) -> String {
        match &self.kind {
            Code::Number(scale) => scale.number(values[self.feature]).to_string(),
            Code::Category { values: words, .. } => {
                let hot = &values[self.feature..][..words.len()];
                let best = (1..hot.len()).fold(0, |best, at| if hot[at] > hot[best] { at } else { best });
                words[best].clone()
            }
        }
    }
}
