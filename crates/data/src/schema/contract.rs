//! The contract (schema) of a table: columns, ranges, categories, classes, shape.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use underpin_core::Shape;

use crate::Error;

/// What is allowed in one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name of the column; of [`Kind::Pixels`] any name.
    pub name: String,
    /// What is allowed.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What is allowed in a column, and how it is encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// A number, scaled so that `min` becomes 0 and `max` 1.
    ///
    /// A value beyond the range by at most `slack` times its width is clamped to it; farther out the row is rejected.
    /// Where that begins is rounded to 15 digits, so that messages name the exact bound.
    Number {
        /// Least value.
        min: f64,
        /// Greatest value; above `min`.
        max: f64,
        /// How many widths beyond the range a value may lie and be clamped; 0 rejects whatever lies outside.
        slack: f64,
    },
    /// A word, encoded one-hot: as many features as there are categories.
    Category {
        /// The words allowed.
        values: Vec<String>,
    },
    /// All columns but the label, in the file's order: pixels in `[0, max]`, divided by `max`. Stands alone.
    Pixels {
        /// Number of columns.
        count: usize,
        /// Greatest value.
        max: f64,
    },
    /// A column that is left out.
    Ignored {
        /// Why.
        reason: String,
    },
}

impl Kind {
    /// Number of features the column becomes.
    pub fn width(&self) -> usize {
        match self {
            Self::Number { .. } => 1,
            Self::Category { values } => values.len(),
            Self::Pixels { count, .. } => *count,
            Self::Ignored { .. } => 0,
        }
    }
}

/// The contract of a table: the columns, ranges, categories and classes of a row, and the shape of an example.
///
/// Written by hand in a configuration, or inferred from held-out rows by [`Contract::infer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct Contract {
    columns: Vec<Column>,
    label: String,
    classes: Vec<String>,
    shape: Shape,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    label: String,
    classes: Vec<String>,
    shape: Shape,
    columns: Vec<Column>,
}

impl Contract {
    /// Checks that the parts agree.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] naming the part that does not.
    pub fn new(columns: Vec<Column>, label: String, classes: Vec<String>, shape: Shape) -> Result<Self, Error> {
        let refuse =
            |what: String, found: String, allowed: &str| Err(Error::Contract { what, found, allowed: allowed.into() });
        let features: usize = columns.iter().map(|column| column.kind.width()).sum();
        if features != shape.size() {
            return refuse(
                "shape".into(),
                format!("{:?}", shape.axes()),
                &format!("{features} values in all, as the columns give"),
            );
        }
        if classes.len() < 2 || classes.iter().collect::<BTreeSet<_>>().len() != classes.len() {
            return refuse("classes".into(), format!("{classes:?}"), "at least two, all different");
        }
        for column in &columns {
            let what = format!("column {:?}", column.name);
            match &column.kind {
                Kind::Number { min, max, slack } => {
                    let range = min.is_finite() && max.is_finite() && min < max && (max - min).is_finite();
                    if !range || !slack.is_finite() || *slack < 0.0 {
                        return refuse(
                            what,
                            format!("min {min}, max {max}, slack {slack}"),
                            "finite, min < max, slack >= 0",
                        );
                    }
                }
                Kind::Category { values } => {
                    if values.is_empty() || values.iter().collect::<BTreeSet<_>>().len() != values.len() {
                        return refuse(what, format!("categories {values:?}"), "at least one, all different");
                    }
                }
                Kind::Pixels { max, .. } => {
                    if columns.len() != 1 || !max.is_finite() || *max <= 0.0 {
                        return refuse(
                            what,
                            format!("pixels up to {max} beside {} columns", columns.len() - 1),
                            "max > 0, no other column",
                        );
                    }
                }
                Kind::Ignored { .. } => {}
            }
        }
        Ok(Self { columns, label, classes, shape })
    }

    /// The columns, the label excepted.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Name of the label column.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The classes; a row's label is a position here.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Shape of one example.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

impl TryFrom<Unchecked> for Contract {
    type Error = Error;

    fn try_from(parts: Unchecked) -> Result<Self, Error> {
        Self::new(parts.columns, parts.label, parts.classes, parts.shape)
    }
}

impl From<Contract> for Unchecked {
    fn from(contract: Contract) -> Self {
        let Contract { columns, label, classes, shape } = contract;
        Self { label, classes, shape, columns }
    }
}
