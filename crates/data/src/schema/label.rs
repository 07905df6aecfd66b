//! Classes: the values of the label column.

use std::collections::BTreeMap;

use crate::Error;
use crate::input::{RawRow, RawTable};

/// Most classes.
const CLASSES: usize = 1_000;

/// The different labels of `rows`, each a text: in numeric order if all are numbers (`1000` before `1E3`), else in order of
/// their text.
///
/// # Errors
///
/// [`Error::OneClass`] with fewer than two; [`Error::TooManyClasses`] above 1,000, or above half of the rows.
pub(super) fn classes(raw_table: &RawTable, rows: &[RawRow<'_>]) -> Result<Vec<String>, Error> {
    let mut counts = BTreeMap::new();
    for label in rows.iter().filter_map(|row| row.label(raw_table.label())) {
        *counts.entry(label).or_insert(0_usize) += 1;
    }
    let (file, found) = (raw_table.name().to_owned(), counts.len());
    let allowed = CLASSES.min(rows.len() / 2).max(2);
    if found > allowed {
        let column = raw_table.columns()[raw_table.label()].clone();
        return Err(Error::TooManyClasses { file, column, found, rows: rows.len(), allowed });
    }
    let mut classes: Vec<String> = counts.into_keys().collect();
    if found < 2 {
        return Err(Error::OneClass { file, found, classes });
    }
    let numbers: Vec<Option<f64>> =
        classes.iter().map(|class| class.parse().ok().filter(|number: &f64| number.is_finite())).collect();
    if let Some(numbers) = numbers.into_iter().collect::<Option<Vec<f64>>>() {
        let mut numbered: Vec<(f64, String)> = numbers.into_iter().zip(classes).collect();
        numbered.sort_by(|(one, class), (other, text)| one.total_cmp(other).then_with(|| class.cmp(text)));
        classes = numbered.into_iter().map(|(_, class)| class).collect();
    }
    Ok(classes)
}
