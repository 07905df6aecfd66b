//! Classes: the values of the label column.

use std::collections::BTreeMap;

use crate::Error;
use crate::input::{RawRow, RawTable};

/// Most classes.
const CLASSES: usize = 1_000;

/// The different labels of `rows`: in numeric order if all are numbers, else in order of their text.
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
    let number = |class: &String| class.parse::<f64>().ok();
    if classes.iter().all(|class| number(class).is_some()) {
        classes.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or_else(|| a.cmp(b)));
    }
    Ok(classes)
}
