//! Single values, as they are asked of a model later, become features as training rows did.

use std::collections::HashMap;

use super::contract::{Contract, Kind};
use super::scale::Scale;
use crate::input::{is_missing, shortened};

/// One value of a row that is not in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowValue<'a> {
    /// A number.
    Number(f64),
    /// A text, as a cell of a file holds it.
    Text(&'a str),
}

/// A value that breaks a contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column:?} is {value}, allowed: {allowed}")]
pub struct ValueFault {
    /// Name of the column.
    pub column: String,
    /// The value, as text.
    pub value: String,
    /// What is allowed there.
    pub allowed: String,
}

/// Encodes the values of rows column by column, by the same contract and arithmetic as the rows of a file
/// (`values_become_the_features_of_a_file_s_rows`).
///
/// Its columns are those that become features, in the contract's order; of an image each pixel is one.
///
/// # Examples
///
/// ```
/// use underpin_core::Shape;
/// use underpin_data::{Column, Contract, Kind, RowValue, ValueEncoder};
///
/// let kind = Kind::Number { min: 100.0, max: 200.0, slack: 0.5 };
/// let columns = vec![Column { name: "height".into(), kind }];
/// let contract = Contract::new(columns, "label".into(), vec!["a".into(), "b".into()], Shape::new([1])?)?;
/// let encoder = ValueEncoder::new(&contract);
/// let mut features = [0.0];
/// encoder.encode(0, RowValue::Number(150.0), &mut features)?;
/// assert_eq!(features, [0.5]);
/// let fault = encoder.encode(0, RowValue::Number(1e30), &mut features).unwrap_err();
/// assert_eq!(fault.to_string(), "column \"height\" is 1e30, allowed: 50 to 250");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ValueEncoder {
    columns: Vec<ValueColumn>,
}

#[derive(Debug)]
struct ValueColumn {
    name: String,
    /// Position of its first feature.
    feature: usize,
    code: Code,
}

#[derive(Debug)]
enum Code {
    Number { scale: Scale, range: (f64, f64) },
    Words { values: Vec<String>, positions: HashMap<String, usize> },
}

/// What a column takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes<'a> {
    /// Numbers from `lowest` to `highest`; what lies beyond `min` or `max` is clamped to it.
    Number {
        /// What becomes 0.
        min: f64,
        /// What becomes 1.
        max: f64,
        /// Least value that is taken.
        lowest: f64,
        /// Greatest value that is taken.
        highest: f64,
    },
    /// One of these words.
    Words(&'a [String]),
}

impl ValueEncoder {
    /// An encoder by `contract`.
    pub fn new(contract: &Contract) -> Self {
        let mut columns = Vec::new();
        let mut feature = 0;
        let number =
            |min: f64, max: f64, slack: f64| Code::Number { scale: Scale::new(min, max, slack), range: (min, max) };
        for column in contract.columns() {
            match &column.kind {
                Kind::Ignored { .. } => {}
                Kind::Number { min, max, slack } => {
                    columns.push(ValueColumn { name: column.name.clone(), feature, code: number(*min, *max, *slack) });
                }
                Kind::Category { values } => {
                    let positions = values.iter().enumerate().map(|(at, value)| (value.clone(), at)).collect();
                    let code = Code::Words { values: values.clone(), positions };
                    columns.push(ValueColumn { name: column.name.clone(), feature, code });
                }
                Kind::Pixels { count, max } => columns.extend((0..*count).map(|at| ValueColumn {
                    name: format!("pixel {at}"),
                    feature: at,
                    code: number(0.0, *max, 0.0),
                })),
            }
            feature += column.kind.width();
        }
        Self { columns }
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Names of the columns and what they take, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Takes<'_>)> {
        self.columns.iter().map(|column| {
            let takes = match &column.code {
                Code::Number { scale, range: (min, max) } => {
                    let (lowest, highest) = scale.ends();
                    Takes::Number { min: *min, max: *max, lowest, highest }
                }
                Code::Words { values, .. } => Takes::Words(values),
            };
            (column.name.as_str(), takes)
        })
    }

    /// Writes the features of a value of the column at a position below [`ValueEncoder::len`] into the features of its row,
    /// which hold zero where nothing was written yet.
    ///
    /// # Errors
    ///
    /// [`ValueFault`] naming column, value and what is allowed.
    pub fn encode(&self, column: usize, value: RowValue<'_>, features: &mut [f32]) -> Result<(), ValueFault> {
        let ValueColumn { name, feature, code } = &self.columns[column];
        let fault = |allowed: String| {
            let value = match value {
                RowValue::Number(number) => format!("{number:?}"),
                RowValue::Text(text) => format!("{:?}", shortened(text.trim())),
            };
            ValueFault { column: name.clone(), value, allowed }
        };
        match code {
            Code::Number { scale, .. } => {
                let number = match value {
                    RowValue::Number(number) => Some(number),
                    RowValue::Text(text) if is_missing(text.trim()) => None,
                    RowValue::Text(text) => text.trim().parse().ok(),
                };
                let scaled = number.filter(|number| number.is_finite()).and_then(|number| scale.feature(number));
                let (scaled, _) = scaled.ok_or_else(|| fault(scale.allowed()))?;
                features[*feature] = scaled;
            }
            Code::Words { values, positions } => {
                let position = match value {
                    RowValue::Text(text) => positions.get(text.trim()),
                    RowValue::Number(number) => positions.get(&number.to_string()),
                };
                let shown = || values.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
                let position = *position.ok_or_else(|| fault(shown()))?;
                features[*feature..][..values.len()].fill(0.0);
                features[feature + position] = 1.0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, NamedBytes, Source, admit, from_bytes};

    fn table(text: &str, source: &Source) -> crate::RawTable {
        from_bytes(NamedBytes { name: "t.csv", bytes: text.as_bytes() }, None, source, &Limits::default()).unwrap()
    }

    fn encoded(encoder: &ValueEncoder, size: usize, values: &[RowValue<'_>]) -> Result<Vec<f32>, ValueFault> {
        let mut features = vec![0.0; size];
        values.iter().enumerate().try_for_each(|(at, value)| encoder.encode(at, *value, &mut features))?;
        Ok(features)
    }

    #[test]
    fn values_become_the_features_of_a_file_s_rows() {
        let mut lines = vec!["height,id,salary,region,label".to_owned()];
        for row in 0..60 {
            let (region, label) = (["north", "east", " south "][row % 3], ["a", "b"][row % 2]);
            lines.push(format!("{}.5,x{row}y,{},{region},{label}", 150 + row % 40, 30_000 + 37 * row));
        }
        let text = lines.join("\n");
        let raw = table(&text, &Source::new("t.csv"));
        let contract = Contract::infer(&raw).unwrap();
        let encoder = ValueEncoder::new(&contract);
        let names: Vec<&str> = encoder.columns().map(|(name, _)| name).collect();
        assert_eq!(names, ["height", "salary", "region"], "the identifier is left out");
        let admitted = admit(raw, &contract).unwrap().value;
        let size = contract.shape().size();
        for (line, features) in text.lines().skip(1).zip(admitted.rows().examples().inputs().rows()) {
            let cells: Vec<&str> = line.split(',').collect();
            let numbers: Vec<f64> = [cells[0], cells[2]].iter().map(|cell| cell.parse().unwrap()).collect();
            let typed = [RowValue::Number(numbers[0]), RowValue::Number(numbers[1]), RowValue::Text(cells[3])];
            assert_eq!(encoded(&encoder, size, &typed).as_deref(), Ok(features), "{line}");
            let texts = [cells[0], cells[2], cells[3]].map(RowValue::Text);
            assert_eq!(encoded(&encoder, size, &texts).as_deref(), Ok(features), "{line}");
        }
        let good = [RowValue::Number(160.0), RowValue::Number(31_000.0), RowValue::Text("east")];
        for (at, value, word) in [
            (0, RowValue::Number(1e30), "column \"height\" is 1e30, allowed: "),
            (0, RowValue::Number(f64::NAN), "column \"height\" is NaN"),
            (1, RowValue::Text("many"), "column \"salary\" is \"many\""),
            (1, RowValue::Text(""), "column \"salary\" is \"\""),
            (2, RowValue::Text("west"), "column \"region\" is \"west\", allowed: east, north, south"),
            (2, RowValue::Number(1.0), "column \"region\" is 1.0"),
        ] {
            let mut bad = good;
            bad[at] = value;
            let fault = encoded(&encoder, size, &bad).unwrap_err().to_string();
            assert!(fault.contains(word), "{fault}");
        }
    }

    #[test]
    fn pixels_are_taken_as_the_contract_counts_them() {
        let columns = vec![crate::Column { name: "pixels".into(), kind: Kind::Pixels { count: 4, max: 255.0 } }];
        let shape = underpin_core::Shape::new([1, 2, 2]).unwrap();
        let contract = Contract::new(columns, "label".into(), vec!["a".into(), "b".into()], shape).unwrap();
        let encoder = ValueEncoder::new(&contract);
        assert_eq!(encoder.len(), 4);
        let features = encoded(&encoder, 4, &[0.0, 51.0, 127.5, 255.0].map(RowValue::Number)).unwrap();
        assert_eq!(features, [0.0, 0.2, 0.5, 1.0]);
        let fault = encoded(&encoder, 4, &[0.0, 0.0, 256.0, 0.0].map(RowValue::Number)).unwrap_err();
        assert_eq!(fault.to_string(), "column \"pixel 2\" is 256.0, allowed: 0 to 255");
    }
}
