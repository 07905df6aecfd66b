//! Finds the label column of a table.

use crate::Error;

/// Names that a label column goes by.
const LABELS: [&str; 9] = ["label", "target", "class", "y", "income", "species", "diagnosis", "outcome", "survived"];

/// Whether a column of this name is usually the label, in any case.
pub(super) fn is_usual(name: &str) -> bool {
    LABELS.contains(&name.to_ascii_lowercase().as_str())
}

/// The label column: by name, by position from 1, by a usual name, or the last.
pub(super) fn label_column(file: &str, columns: &[String], asked: Option<&str>) -> Result<usize, Error> {
    let Some(asked) = asked else {
        let usual = columns.iter().position(|column| is_usual(column));
        return Ok(usual.unwrap_or(columns.len().saturating_sub(1)));
    };
    let by_name = columns.iter().position(|column| column == asked);
    let by_position = || asked.parse::<usize>().ok().filter(|at| (1..=columns.len()).contains(at)).map(|at| at - 1);
    by_name.or_else(by_position).ok_or_else(|| Error::NoLabelColumn {
        file: file.to_owned(),
        asked: asked.to_owned(),
        columns: columns.to_vec(),
    })
}
